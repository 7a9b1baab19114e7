"""
Runs llama.cpp's own HTTP server on loopback until told to stop: what `manage.py upstream run` starts.

It works with nothing but the environment that `manage.py upstream install` makes. The key that callers must
send is read from LLAMA_API_KEY.
"""

import argparse
import os
import signal
from pathlib import Path

import xllamacpp


def main() -> None:
    """Serve one model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="a GGUF file")
    parser.add_argument("--alias", required=True, help="the model's name in requests")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--slots", type=int, required=True, help="calls served at once")
    parser.add_argument("--context-tokens", type=int, required=True, help="of each call")
    parser.add_argument("--chat-template", type=Path, help="in the place of the model's own")
    options = parser.parse_args()
    server = xllamacpp.Server(parameters(options))
    print(f"listening on {server.listening_address}", flush=True)
    signal.pause()


def parameters(options: argparse.Namespace) -> xllamacpp.CommonParams:
    """Return what llama-server takes as its options; the CPU alone is used."""
    chosen = xllamacpp.CommonParams()
    chosen.model.path = options.model
    chosen.model_alias = {options.alias}
    chosen.hostnames = ["127.0.0.1"]
    chosen.port = options.port
    chosen.n_parallel = options.slots
    chosen.n_ctx = options.slots * options.context_tokens
    chosen.n_gpu_layers = 0
    # One is enough for so small a model, and threads that spin would slow down what calls it.
    chosen.cpuparams.n_threads = 1
    chosen.endpoint_metrics = True
    chosen.api_keys = [os.environ["LLAMA_API_KEY"]]
    chosen.use_jinja = True
    if options.chat_template is not None:
        chosen.chat_template = options.chat_template.read_text()
    return chosen


if __name__ == "__main__":
    main()
