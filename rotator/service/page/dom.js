// Making elements. Text is only ever text: nothing here can turn it into markup.

const SVG = "http://www.w3.org/2000/svg";

export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function s(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

// Text as sentences, with what stands in `backticks` as code.
export function prose(text) {
  const ended = /[.!?…]$/.test(text) ? text : `${text}.`;
  return ended.split("`").map((part, i) => (i % 2 ? h("code", {}, part) : part));
}

// Make `old` look like `fresh` and touch no more than differs, so that focus and reading position stay where they are.
export function patch(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) {
    if (name === "style") old.style.cssText = fresh.style.cssText; // as an attribute the page's policy forbids it
    else if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const [before, after] = [[...old.childNodes], [...fresh.childNodes]];
  const isAlike = before.length === after.length && before.every((child, i) => child.nodeName === after[i].nodeName);
  if (!isAlike) old.replaceChildren(...after);
  else before.forEach((child, i) => patchChild(child, after[i]));
}

function patchChild(old, fresh) {
  if (old.nodeType === Node.ELEMENT_NODE) patch(old, fresh);
  else if (old.data !== fresh.data) old.data = fresh.data;
}
