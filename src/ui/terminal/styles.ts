/**
 * xterm.js writes its styles into `<style>` elements and attributes, which the page's Content-Security-Policy forbids. Style
 * sheets that a script constructs are not, nor is the `style` property: while a terminal is open, the document makes
 * elements that use those. (Its `documentOverride` does not reach all of its parts; the rest of the page makes its elements
 * in another way, with their namespace.)
 */

/** Until what it returns is called. Terminals are open one at a time. */
export function styleByScript(): () => void {
  const sheets: CSSStyleSheet[] = [];
  const create = Document.prototype.createElement.bind(document) as (tag: string) => HTMLElement;
  const createElement = (tag: string): HTMLElement => {
    if (tag !== 'style') return withProperty(create(tag));
    const sheet = new CSSStyleSheet();
    sheets.push(sheet);
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
    return standIn(create('template'), sheet);
  };
  document.createElement = createElement as typeof document.createElement;
  return () => {
    if (document.createElement === createElement) Reflect.deleteProperty(document, 'createElement');
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((sheet) => !sheets.includes(sheet));
  };
}

/** An element for a `<style>`, whose text goes to `sheet`. */
function standIn(element: HTMLElement, sheet: CSSStyleSheet): HTMLElement {
  let text = '';
  return Object.defineProperties(element, {
    sheet: { get: () => sheet },
    textContent: {
      get: () => text,
      set(value: string) {
        text = value;
        sheet.replaceSync(value);
      },
    },
  });
}

/** Sets the property where the attribute is meant. */
function withProperty(element: HTMLElement): HTMLElement {
  element.setAttribute = (name, value) => {
    if (name === 'style') element.style.cssText = value;
    else Element.prototype.setAttribute.call(element, name, value);
  };
  return element;
}
