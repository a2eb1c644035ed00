/** Finding and filling elements. Texts from the server go in as text only, never as markup. */

export function find<T extends Element>(selector: string, kind: new () => T, root: ParentNode = document): T {
  const element = root.querySelector(selector);
  if (!(element instanceof kind)) {
    throw new Error(`the page has no ${selector}`);
  }
  return element;
}

export function maybe<T extends Element>(selector: string, kind: new () => T, root: ParentNode = document): T | null {
  const element = root.querySelector(selector);
  return element instanceof kind ? element : null;
}

/** The first element of a copy of a <template>. */
export function stamp<T extends Element>(template: HTMLTemplateElement, kind: new () => T): T {
  const copy = document.importNode(template.content, true).firstElementChild;
  if (!(copy instanceof kind)) {
    throw new Error(`template ${template.id} does not hold what is expected`);
  }
  return copy;
}

type Values = Record<string, unknown>;

/** Put values into the slots that the template names: data-slot (text), -href, -title, -lang. */
export function fill(root: Element, values: Values): void {
  const text = (name: string | undefined): string => {
    const value = name === undefined ? undefined : values[name];
    return value === undefined || value === null ? "" : String(value);
  };
  const slots = [root, ...root.querySelectorAll("*")].filter((element) => element instanceof HTMLElement);
  for (const element of slots) {
    const { slot, slotHref, slotTitle, slotLang } = element.dataset;
    if (slot !== undefined && element.textContent !== text(slot)) {
      element.textContent = text(slot);
    }
    if (slotTitle !== undefined) {
      element.title = text(slotTitle);
    }
    if (slotLang !== undefined) {
      element.lang = text(slotLang);
    }
    if (slotHref !== undefined && element instanceof HTMLAnchorElement) {
      setPath(element, text(slotHref));
    }
  }
}

/** Links from data lead to this console only. */
function setPath(link: HTMLAnchorElement, path: string): void {
  if (/^\/(?![/\\])/.test(path)) {
    link.setAttribute("href", path);
  } else {
    link.removeAttribute("href");
  }
}
