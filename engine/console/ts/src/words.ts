/** The page's texts in the viewer's language, as handed over by the server. */

let words: Record<string, string> | undefined;

function load(): Record<string, string> {
  const source = document.getElementById("words")?.textContent ?? "{}";
  return JSON.parse(source) as Record<string, string>;
}

export function t(name: string, values: Record<string, string | number> = {}): string {
  words ??= load();
  const text = words[name] ?? name;
  return text.replace(/%\((\w+)\)s/g, (_, key: string) => String(values[key] ?? ""));
}
