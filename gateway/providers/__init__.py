"""
One translator for each provider API, in a folder by whose API it is, and the only door to the network.

Here at the top is what all share: what an adapter offers (`base`), which one speaks which API (`registry`), the network
(`client`, `connector`), our accounts (`credentials`, `authorize`, `access_tokens`) and formats of more than one API.
"""
