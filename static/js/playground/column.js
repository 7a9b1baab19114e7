// One model with its own conversation: its turns, the answer that is coming in, and what it cost.

import { el, icon, iconButton } from "./dom.js";
import { combobox } from "./combobox.js";
import { ask } from "./answer.js";
import { turnElement } from "./turn.js";

export class Column {
  /** `page` gives models, what to send, and is told of changes. */
  constructor(page, element) {
    this.page = page;
    this.element = element;
    this.field = element.querySelector(".pg-model input");
    this.thread = element.querySelector(".pg-thread");
    this.turns = [];
    this.controller = null;
    this.spent = 0;
    this.total = el("span", { class: "muted small num pg-total" });
    this.element.querySelector(".pg-column-head").append(this.total);
    combobox(this.field, page.choices);
    this.field.addEventListener("change", () => page.changed());
  }

  static element(number) {
    const id = `pg-model-${number}`;
    const close = iconButton(`Take model ${number} away`, "x");
    close.dataset.pgClose = "";
    return el("section", { class: "pg-column", "aria-label": `Model ${number}` },
      el("header", { class: "pg-column-head" },
        el("div", { class: "field pg-model" }, el("label", { for: id }, "Model"),
          el("input", { id, autocomplete: "off", spellcheck: "false", required: true })),
        close),
      el("ol", { class: "pg-thread", "aria-label": "Conversation" }));
  }

  get model() {
    return this.page.models.get(this.field.value);
  }

  get running() {
    return this.controller !== null;
  }

  add(turn) {
    this.turns.push(turn);
    this.draw();
  }

  clear() {
    this.stop();
    this.turns = [];
    this.spent = 0;
    this.draw();
  }

  stop() {
    this.controller?.abort();
  }

  /** Ask the model for what comes after the turns so far. */
  async answer() {
    const turn = { role: "assistant", text: "", reasoning: "", toolCalls: [], state: "waiting", isFree: this.page.isFree() };
    const body = this.page.body(this);
    this.add(turn);
    this.controller = new AbortController();
    this.page.changed();
    try {
      await ask(this.page.callUrl(), body, turn, {
        token: this.page.token, signal: this.controller.signal, model: this.model, onchange: () => this.progress(turn),
      });
    } finally {
      this.controller = null;
      if (!turn.isFree) this.spent += turn.cost ?? 0;
      this.draw();
      this.page.changed();
    }
  }

  /** Ask once more for the answer that failed. */
  again() {
    this.turns.pop();
    this.answer();
  }

  /** Show what came in; only the text grows while the answer runs, the rest is drawn at the end. */
  progress(turn) {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      if (!this.running) return;
      const shown = this.thread.lastElementChild;
      const near = this.thread.scrollHeight - this.thread.scrollTop - this.thread.clientHeight < 80;
      shown?.replaceWith(turnElement(this, turn, this.turns.length - 1));
      if (near) this.thread.scrollTop = this.thread.scrollHeight;
    });
  }

  draw() {
    this.thread.replaceChildren(...this.turns.map((turn, at) => turnElement(this, turn, at)));
    if (!this.turns.length) {
      this.thread.append(el("li", { class: "pg-empty muted" }, icon("terminal"), "The conversation appears here."));
    }
    this.thread.scrollTop = this.thread.scrollHeight;
    this.total.textContent = this.spent ? `${this.page.usd(this.spent)} so far` : "";
  }

  remove(at) {
    this.turns.splice(at, 1);
    this.draw();
    this.page.changed();
  }

  /** Put another text in a turn's place; what came after it answered the old one. */
  rewrite(at, text, again) {
    this.turns[at].text = text;
    if (again) this.turns.length = at + 1;
    this.draw();
    if (again) this.answer();
  }
}
