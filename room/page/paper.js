// A post-mortem on the page, to read, to print and to take away. Every text in it becomes a text node.

import { el } from "/incident.js";

// Give the visitor a file that this page made.
export function download(name, text, type = "application/octet-stream") {
  const link = el("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export class Paper {
  constructor(root) {
    this.root = root;
  }

  // `answer` is what the server wrote; `name` is that of the files, without an ending.
  show(answer, name) {
    const { title, sections } = answer.document;
    const button = (text, what, click) => el("button", { type: "button", "data-paper": what, click }, text);
    this.root.replaceChildren(
      el("div", { class: "row" }, button("Print", "print", () => window.print()), button("Markdown", "markdown", () => download(`${name}.md`, answer.markdown)), button("Web page", "html", () => download(`${name}.html`, answer.html)), button("Close", "close", () => this.close())),
      el("article", { class: "paper" }, el("h2", {}, title), ...sections.flatMap((section) => [el("h3", {}, section.heading), ...section.blocks.map(block)])));
    this.root.hidden = false;
    document.body.dataset.paper = "yes";
    this.root.scrollIntoView();
  }

  close() {
    this.root.hidden = true;
    this.root.replaceChildren();
    delete document.body.dataset.paper;
  }
}

function block({ paragraphs, items, headings, rows }) {
  if (items) return el("ul", {}, ...items.map((text) => el("li", {}, text)));
  if (!rows) return el("div", {}, ...paragraphs.map((text) => el("p", {}, text)));
  const head = el("thead", {}, el("tr", {}, ...headings.map((text) => el("th", { scope: "col" }, text))));
  const body = el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map((text) => el("td", {}, text)))));
  return el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": headings.filter(Boolean).join(", ") }, el("table", {}, head, body));
}
