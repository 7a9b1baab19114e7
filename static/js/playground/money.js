// Amounts as the pages show them. Rates are micro-USD per million tokens, so a token costs rate / 1e12 dollars.

export function usd(amount) {
  if (!amount) return "$0.00";
  if (amount >= 1) return `$${amount.toFixed(2)}`;
  return `$${Number(amount.toPrecision(6)).toFixed(12).replace(/0+$/, "").replace(/\.$/, "")}`;
}

/** Return what so many tokens cost, null where the model has no such rate. */
export function estimate(model, tokensIn, tokensOut) {
  if (!model || model.input_rate === null) return null;
  return (tokensIn * model.input_rate + tokensOut * (model.output_rate ?? 0)) / 1e12;
}

/** Return about how many tokens a text has; the answer's own count replaces it. */
export function aboutTokens(text) {
  return Math.ceil(text.length / 4);
}
