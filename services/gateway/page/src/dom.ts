/** The elements of live.html, and short ways to make others. */

export function get<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`live.html has no element ${id}`);
  return found as T;
}

type Attributes = Record<string, string | boolean | EventListener>;

/** Make an element; `onclick` and the like take functions, all text is text and not HTML. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** Show items in a list; one whose key is there already stays, with the focus and the press that it has. */
export function showItems(list: HTMLElement, items: HTMLElement[]): void {
  const present = new Map([...list.children].map((each) => [(each as HTMLElement).dataset.key, each as HTMLElement]));
  items.forEach((item, i) => {
    const element = present.get(item.dataset.key) ?? item;
    if (element !== item) update(element, item);
    if (list.children[i] !== element) list.insertBefore(element, list.children[i] ?? null);
  });
  while (list.children.length > items.length) list.lastElementChild!.remove();
}

/** Give an element the attributes and children of another one; what is alike stays. */
function update(element: HTMLElement, wanted: HTMLElement): void {
  if (element.isEqualNode(wanted)) return;
  for (const { name } of [...element.attributes]) if (!wanted.hasAttribute(name)) element.removeAttribute(name);
  for (const { name, value } of wanted.attributes) if (element.getAttribute(name) !== value) element.setAttribute(name, value);
  const [old, next] = [[...element.childNodes], [...wanted.childNodes]];
  const isAlike = old.length === next.length && old.every((node, i) => node.nodeName === next[i]!.nodeName && keyOf(node) === keyOf(next[i]!));
  if (!isAlike) {
    element.replaceChildren(...next);
    return;
  }
  old.forEach((node, i) => {
    if (node instanceof HTMLElement) update(node, next[i] as HTMLElement);
    else if (node.nodeValue !== next[i]!.nodeValue) node.nodeValue = next[i]!.nodeValue;
  });
}

const keyOf = (node: Node) => (node instanceof HTMLElement ? node.dataset.key : undefined);

/** Offer choices in a select; keeps the present one if it is still there. */
export function setOptions(select: HTMLSelectElement, options: [value: string, text: string][], value: string): void {
  const wanted = JSON.stringify(options);
  if (select.dataset.options !== wanted) {
    select.dataset.options = wanted;
    select.replaceChildren(...options.map(([key, text]) => make("option", { value: key }, text)));
  }
  select.value = value;
  select.disabled = options.length < 2;
}

const colours = new Map<string, string>();

/** A colour, or the font, of the style sheet, which is asked for it once. */
export function colour(name: string): string {
  const known = colours.get(name) ?? getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  colours.set(name, known);
  return known;
}

/** Ask the style sheet again, after another scheme was chosen. */
export function forgetColours(): void {
  colours.clear();
}

/** Write a text unless it is there already: the browser would lay the page out again. */
export function setText(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** The size of an element, which is read when it changes: each time it is read, the browser lays the page out. */
export class Size {
  width = 0;
  height = 0;

  constructor(element: HTMLElement) {
    const read = () => {
      this.width = element.clientWidth;
      this.height = element.clientHeight;
    };
    read();
    new ResizeObserver(read).observe(element);
  }
}

export function toast(text: string, kind: "info" | "error" = "info"): void {
  const element = make("p", { class: `toast ${kind}` }, text);
  const close = make("button", { type: "button", "aria-label": "Dismiss", onclick: () => element.remove() }, "×");
  element.append(close);
  get("toasts").append(element);
  if (kind === "info") setTimeout(() => element.remove(), 6000);
}
