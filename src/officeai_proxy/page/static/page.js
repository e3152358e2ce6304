// What the page does beyond links and forms: parts that come while scrolling, sheets, keys, copying,
// what is new. Without it every link and form works as a page of its own.

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const here = () => location.pathname + location.search;

// --- parts of the page -------------------------------------------------------------------------

async function part(url, name, options = {}) {
  const asked = { ...options, headers: { ...options.headers, "X-Part": name } };
  const answer = options.method ? await fetched(url, asked) : await answered(url, asked);
  if (answer.status === 401) {
    if (options.method) location.assign(`/ui/enter?next=${encodeURIComponent(here())}&lost=1`);
    else location.reload();
  }
  return answer;
}

async function fetched(url, asked) {
  const answer = await fetch(url, asked);
  return { ok: answer.ok, status: answer.status, html: await answer.text() };
}

// What is only read is asked for until there is an answer: it goes on by itself, as the page says. These
// are the database that is away, and what a server in front says while the proxy starts again.
const NO_ANSWERS = [502, 503, 504];

async function answered(url, asked) {
  for (;;) {
    const answer = await fetched(url, asked).catch(() => null);
    const isAnswer = answer && !NO_ANSWERS.includes(answer.status);
    warn(isAnswer ? null : answer ? "unable" : "offline");
    if (isAnswer) return answer;
    await pause();
  }
}

function fragment(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content;
}

function rowsOf(html) {
  const table = fragment(`<table><tbody>${html}</tbody></table>`);
  const rows = document.createDocumentFragment();
  rows.append(...$("tbody", table).children);
  return rows;
}

function warn(what) {
  for (const name of ["offline", "unable"]) $(`#${name}`).hidden = name !== what;
}

function pause() {
  return new Promise((go) => {
    setTimeout(go, 3000);
    addEventListener("online", () => go(), { once: true });
  });
}

// --- times on the reader's clock ----------------------------------------------------------------

const two = (number) => String(number).padStart(2, "0");

function showTimes(root) {
  for (const time of $$("time[datetime]", root)) {
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    const seconds = time.hasAttribute("data-seconds") ? `:${two(moment.getSeconds())}` : "";
    const clock = `${two(moment.getHours())}:${two(moment.getMinutes())}${seconds}`;
    const day = `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}`;
    time.textContent = time.hasAttribute("data-clock") ? clock : `${day} ${clock}`;
    time.title = moment.toLocaleString(document.documentElement.lang);
  }
}

function tellZone() {
  const east = -new Date().getTimezoneOffset();
  const name = Intl.DateTimeFormat().resolvedOptions().timeZone ?? "";
  document.cookie = `officeai_zone=${east}:${name}; path=/ui; max-age=31536000; samesite=strict`;
}

// --- more while scrolling -----------------------------------------------------------------------

const watcher = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) if (entry.isIntersecting) more(entry.target);
  },
  { rootMargin: "600px 0px" },
);

async function more(link) {
  watcher.unobserve(link);
  if (!link.isConnected || link.getAttribute("aria-busy") === "true") return;
  link.setAttribute("aria-busy", "true");
  const { status, html } = await part(link.href, "more");
  link.removeAttribute("aria-busy");
  // Another conversation may have been opened meanwhile, or this one have gone on elsewhere.
  if (!link.isConnected) return;
  if (status === 205) return open(location.href, false);
  if (status !== 200) return warn("unable");
  // Rows are only rows inside of a table.
  const content = link.hasAttribute("data-row") ? rowsOf(html) : fragment(html);
  const scroll = link.closest(".scroll");
  const height = scroll ? scroll.scrollHeight - scroll.scrollTop : 0;
  dress(content);
  const links = $$("[data-more]", content);
  const messages = $$("[data-message]", content);
  (link.closest(".more-row") ?? link).replaceWith(content);
  if (scroll && link.dataset.more === "prepend") scroll.scrollTop = scroll.scrollHeight - height;
  for (const one of links) watcher.observe(one);
  for (const message of messages) mark(message);
  if (scroll && link.dataset.more === "append" && !links.length) reachEnd(messages.at(-1));
}

// --- a conversation -----------------------------------------------------------------------------

let live = 0;
let opened = 0;

async function open(url, push = true) {
  const turn = ++opened;
  const main = $("#main");
  const wait = () => { if (turn === opened) main.setAttribute("aria-busy", "true"); };
  const waiting = setTimeout(wait, 300);
  const { ok, html } = await part(url, "reading");
  clearTimeout(waiting);
  // On a slow network the answer to an earlier click may come after that to a later one.
  if (turn !== opened) return;
  if (!ok) return location.assign(url);
  main.removeAttribute("aria-busy");
  const wasInside = main.contains(document.activeElement);
  main.replaceChildren(fragment(html));
  if (push && url !== location.href) history.pushState({ open: true }, "", url);
  shown = here();
  document.body.classList.replace("view-list", "view-reading");
  $(".skip").hash = "main";
  const chat = $(".chat");
  entitle(chat.dataset.title);
  for (const row of $$("#rows [aria-current]")) row.removeAttribute("aria-current");
  const row = $(`#rows [data-id="${chat.dataset.chat}"]`);
  if (row) row.setAttribute("aria-current", "true");
  dress(main);
  begin();
  if (wasInside || !isSeen(document.activeElement)) {
    ($(".said[data-found] .turns a") ?? main).focus({ preventScroll: true });
  }
}

// Focus on what is gone, or hidden as the list of a phone is, would begin anew at the top of the page.
function isSeen(one) {
  return one !== document.body && one.getClientRects().length > 0;
}

// What the window is called, and where a change of language or colours comes back to.
function entitle(title) {
  document.title = `${title} · officeai-proxy`;
  for (const field of $$(".tools [name=next]")) field.value = here();
}

function begin() {
  clearTimeout(live);
  const scroll = $("#scroll");
  if (!scroll) return;
  const found = scroll.dataset.at && $(`#m${CSS.escape(scroll.dataset.at)}`);
  CSS.highlights?.delete("found");
  mark(scroll);
  if (found) lookAt(found, scroll);
  else scroll.scrollTop = scroll.scrollHeight;
  // The browser goes to the beginning of the message once more when all of the page has come.
  const again = () => requestAnimationFrame(() => lookAt(found, scroll));
  if (found && document.readyState !== "complete") addEventListener("load", again, { once: true });
  // A picture has its height only when it is read; the end of the conversation stays in view.
  let wasAtEnd = !found;
  scroll.addEventListener("scroll", () => {
    wasAtEnd = isAtEnd(scroll);
    if (wasAtEnd) $(".chat .below")?.remove();
  }, { passive: true });
  scroll.addEventListener("load", () => { if (wasAtEnd) scroll.scrollTop = scroll.scrollHeight; }, true);
  for (const link of $$("[data-more]", scroll)) watcher.observe(link);
  if (!$(".to-end")) listen(2000);
}

// A message that was found, and of a long one the first word that was searched for.
function lookAt(found, scroll) {
  found.scrollIntoView({ block: "center" });
  const words = [...(CSS.highlights?.get("found") ?? [])];
  const word = words.find((one) => found.contains(one.startContainer));
  // A long piece of code is scrolled in itself.
  for (const box of word ? [word.startContainer.parentElement.closest("pre"), scroll] : []) {
    const place = word.getBoundingClientRect(), view = box?.getBoundingClientRect();
    const isSeen = !box || (place.top >= view.top && place.bottom <= view.bottom);
    if (!isSeen) box.scrollTop += place.top - view.top - view.height / 2;
  }
}

// Whoever has scrolled down to the newest message is where the conversation goes on.
function reachEnd(message) {
  $(".to-end")?.remove();
  const place = $("#live");
  if (place && message) place.dataset.after = message.dataset.message;
  listen(2000);
}

// Words are found as the search finds them: whole ones, whatever their case, accents and width are,
// but any part of a run of Chinese, which stands for itself beside other letters too; and those in
// quotation marks only side by side.
const EAST = "[\\p{sc=Han}\\p{sc=Hiragana}\\p{sc=Katakana}\\p{sc=Hangul}\\p{sc=Bopomofo}\\u3006\\u30fc]";
const OTHER = `(?:(?!${EAST})[\\p{L}\\p{N}\\p{M}])`;
const GAP = `(?:(?!${EAST}|${OTHER}).)*`;
const QUOTED = /["“”„＂]([^"“”„＂]*)["“”„＂]|[^"“”„＂]+/gu;
const LETTER = /\P{M}\p{M}*|\p{M}+/gu;
// Vowel signs of India are no accents, nor are the marks that tell カ from ガ.
const ACCENT = /(?=\p{M})(?![\u3099\u309a])[\p{sc=Zinh}\p{sc=Cyrl}\p{sc=Hebr}\p{sc=Arab}\p{sc=Syrc}]/gu;

function fold(letter) {
  // Most letters are of ASCII or Chinese and have one form only, which is known without asking.
  if (letter.length === 1 && (letter < "\x80" || (letter >= "\u4e00" && letter <= "\u9fff"))) return letter.toLowerCase();
  const small = letter.normalize("NFKC").toLowerCase().replaceAll("ß", "ss").replaceAll("ς", "σ");
  return small.normalize("NFD").replace(ACCENT, "").normalize("NFC");
}

function patternsOf(query) {
  const found = [...query.matchAll(QUOTED)].flatMap(({ 0: all, 1: phrase }) => {
    const words = (fold(all).match(new RegExp(`${EAST}+|${OTHER}+`, "gu")) ?? [])
      .map((word) => (new RegExp(EAST, "u").test(word) ? word : `(?<!${OTHER})${word}(?!${OTHER})`));
    return phrase === undefined ? words : words.join(GAP) || [];
  });
  return [...new Set(found)].map((pattern) => new RegExp(pattern, "gsu"));
}

// Where the patterns are in a text, whose letters may be longer or shorter when they are folded.
function placesIn(text, patterns) {
  const all = (folded) => patterns.flatMap((pattern) => [...folded.matchAll(pattern)]);
  if (/^[\0-\x7f]*$/.test(text)) {
    return all(text.toLowerCase()).map(({ 0: found, index }) => [index, index + found.length]);
  }
  const starts = [], ends = [];
  let folded = "";
  for (const { 0: letter, index } of text.matchAll(LETTER)) {
    const small = fold(letter);
    folded += small;
    for (let unit = 0; unit < small.length; unit += 1) {
      starts.push(index);
      ends.push(index + letter.length);
    }
  }
  return all(folded).map(({ 0: found, index }) => [starts[index], ends[index + found.length - 1]]);
}

// What was written in a message, as one text, and which node each part of it is in. What the page
// itself says in it, such as the button over a piece of code, ends words and has none.
function writtenIn(place) {
  const nodes = [];
  let text = "";
  const walker = document.createTreeWalker(place, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const isOurs = node.parentElement.closest(".code-bar, .mark");
    if (!isOurs) nodes.push({ node, start: text.length });
    text += isOurs ? "\n" : node.data;
  }
  return { nodes, text };
}

// What was searched for is marked without touching the text (CSS Custom Highlight API).
function mark(root) {
  const patterns = window.Highlight ? patternsOf($("#scroll").dataset.find) : [];
  if (!patterns.length) return;
  const marked = CSS.highlights.get("found") ?? new Highlight();
  for (const place of $$(".text", root)) {
    const { nodes, text } = writtenIn(place);
    const places = placesIn(text, patterns).sort(([one], [other]) => one - other);
    // What a tool answered is folded; nobody sees there what was found.
    if (places.length) place.closest("[data-found] details")?.setAttribute("open", "");
    let at = 0;
    for (const [start, end] of places.slice(0, 2000 - marked.size)) {
      while (nodes[at + 1]?.start <= start) at += 1;
      let last = at;
      // Words that stand side by side may be in bold and not, one beside the other.
      while (nodes[last + 1]?.start < end) last += 1;
      const range = new Range();
      range.setStart(nodes[at].node, start - nodes[at].start);
      range.setEnd(nodes[last].node, end - nodes[last].start);
      marked.add(range);
    }
  }
  CSS.highlights.set("found", marked);
}

function isAtEnd(scroll) {
  return scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 120;
}

function listen(rest) {
  clearTimeout(live);
  const place = $("#live");
  if (place) live = setTimeout(() => look(place, rest), rest);
}

async function look(place, rest) {
  if (!place.isConnected) return;
  if (document.hidden) return listen(rest);
  const { status, html } = await part(`${place.dataset.live}?after=${place.dataset.after}`, "news");
  // Another conversation may have been opened meanwhile, which this says nothing of.
  if (!place.isConnected) return;
  if (status === 404) return gone(place);
  if (status === 205) return open(location.href, false);
  if (status === 200) add(place, fragment(html));
  listen(status === 200 ? 1500 : Math.min(rest * 1.3, 15000));
}

// Somebody has deleted it for good: what is on the screen is all that is left of it.
function gone(place) {
  const said = document.createElement("p");
  said.className = "mark";
  said.setAttribute("role", "alert");
  said.textContent = place.dataset.gone;
  $(".chat-head").append(said);
  place.remove();
}

// How much it is now, above the messages and in the list.
function tell(about) {
  if (!about) return;
  $(".chat-about").replaceWith(about);
  const row = $("#rows [aria-current] .row-about");
  if (row) row.lastChild.data = ` · ${about.dataset.count}`;
}

function add(place, content) {
  const scroll = $("#scroll");
  const measure = $(".measure", scroll);
  const follows = isAtEnd(scroll);
  dress(content);
  const messages = $$("[data-message]", content);
  // A call that was made again has its answer now: what was marked at the question is over.
  if (messages[0]?.matches(".by-assistant")) {
    for (const one of $$(".said:not(.by-assistant):last-child .mark", measure)) one.remove();
  }
  for (const message of messages) {
    if (document.getElementById(message.id)) continue;
    measure.append(message);
    mark(message);
  }
  tell($(".chat-about", content));
  for (const empty of $$(".empty", measure)) empty.remove();
  if (messages.length) place.dataset.after = messages.at(-1).dataset.message;
  place.textContent = place.dataset.said;
  if (follows) scroll.scrollTop = scroll.scrollHeight;
  else if (messages.length) tellBelow(place.dataset.said);
}

// Whoever reads further up stays there, and sees that there is more below.
function tellBelow(said) {
  if ($(".chat .below")) return;
  const button = document.createElement("button");
  button.className = "to-end below";
  button.textContent = `↓ ${said}`;
  $(".chat").append(button);
}

function goBelow(button) {
  const scroll = $("#scroll");
  scroll.scrollTop = scroll.scrollHeight;
  button.remove();
  scroll.focus({ preventScroll: true });
}

// --- sheets -------------------------------------------------------------------------------------

let asked = 0;

async function showSheet(link) {
  const turn = ++asked;
  const sheet = $("#sheet");
  const { ok, html } = await part(link.href, "sheet");
  // The second press of a double one must not take away what somebody has begun to fill in.
  if (turn !== asked || sheet.open) return;
  if (!ok) return location.assign(link.href);
  sheet.replaceChildren(fragment(html));
  dress(sheet);
  sheet.showModal();
  $("[autofocus]", sheet)?.focus();
}

async function send(form, file) {
  const report = $("[data-report]", form);
  report.textContent = form.dataset.busy;
  const user = encodeURIComponent(form.elements.user.value);
  try {
    const { ok, html } = await part(`${form.getAttribute("action")}?user=${user}`, "report", {
      method: "POST",
      body: file,
      headers: { "Content-Type": "application/octet-stream" },
    });
    const content = fragment(html);
    if (ok) report.replaceChildren(content);
    else {
      const said = $$("h1, main p[lang]", content).map((one) => one.textContent).join(": ");
      report.textContent = said || form.dataset.failed;
    }
  } catch {
    report.textContent = form.dataset.failed;
  }
}

async function recount(form) {
  const asked = new URLSearchParams(new FormData(form));
  const { ok, html } = await part(`${form.dataset.count}?${asked}`, "sheet");
  if (!ok) return;
  const told = $("[data-counted]", fragment(html));
  // The sheet may have been changed for another one meanwhile.
  if (form.isConnected) $("[data-counted]", form.parentElement).textContent = told.textContent;
}

// --- copying ------------------------------------------------------------------------------------

async function copy(button) {
  const place = button.dataset.copy === "code" ? button.closest(".code") : button.closest(".said");
  const text = button.dataset.copy === "code"
    ? $("code", place).textContent
    : $("template", place)?.content.textContent ?? $(".text", place).textContent.trim();
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  const before = button.textContent;
  button.textContent = "✓";
  setTimeout(() => { button.textContent = before; }, 1200);
}

// --- back ---------------------------------------------------------------------------------------

// The address of what is on the screen. A link to a place within it, as that to the filters, is a step
// of the browser's too, and must not load anew what somebody reads.
let shown = here();

// On a phone the list is still there, scrolled to where it was, behind the conversation.
function goBack() {
  if (here() === shown) return;
  shown = here();
  if (location.pathname.startsWith("/ui/c/") && $("#main")) return open(location.href, false);
  if (location.pathname !== "/ui" || !matchMedia("(max-width: 720px)").matches || !$("#rows")) {
    return location.reload();
  }
  document.body.classList.replace("view-reading", "view-list");
  $(".skip").hash = "list";
  clearTimeout(live);
  entitle($(".rooms [aria-current]").textContent.trim());
  $("#rows [aria-current]")?.focus({ preventScroll: true });
}

// --- keys ---------------------------------------------------------------------------------------

function step(by) {
  const rows = $$("#rows a.row");
  if (!rows.length) return;
  const at = rows.indexOf(document.activeElement);
  const from = at >= 0 ? at : rows.findIndex((row) => row.hasAttribute("aria-current"));
  const next = rows[Math.max(0, Math.min(rows.length - 1, from < 0 ? 0 : from + by))];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}

function onKey(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && location.hash === "#side") return $(".side-close")?.click();
  if (event.key === "Escape") return document.activeElement.blur();
  if (event.target.closest("input, textarea, select, dialog")) return;
  if (event.key === "/" && $("#find")) $("#find").focus();
  else if (event.key === "j") step(1);
  else if (event.key === "k") step(-1);
  else if (event.key === "e") $$("[data-key=e]").at(-1)?.click();
  else if (event.key === "?") $("#help").showModal();
  else return;
  event.preventDefault();
}

// --- clicks -------------------------------------------------------------------------------------

// A press beside a dialog closes it; one on its own edge does not, nor one that began in a field of it
// and ended beside it, as when a text is marked: what was typed would be gone.
let pressed = false;

function isBeside(event) {
  const { target, clientX: x, clientY: y } = event;
  if (!target.matches?.("dialog")) return false;
  const { left, right, top, bottom } = target.getBoundingClientRect();
  return x < left || x > right || y < top || y > bottom;
}

function onClick(event) {
  // To choose the same file once more is a change only if none is chosen.
  if (event.target.matches("[data-drop] input")) event.target.value = "";
  const button = event.target.closest("button.copy");
  if (button) return copy(button);
  if (event.target.matches(".below")) return goBelow(event.target);
  if (event.target.closest("[data-close]")) return event.target.closest("dialog")?.close();
  if (pressed && isBeside(event)) return event.target.close();
  const link = event.target.closest("a");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (link.matches("[data-back]") && history.state?.open) history.back();
  else if (link.matches("[data-open]") && $("#rows, .chat")) open(link.href);
  else if (link.matches("[data-sheet]")) showSheet(link);
  else if (link.matches("[data-more]")) more(link);
  else return;
  event.preventDefault();
}

function onSubmit(event) {
  // A file is sent when it is chosen. Enter in the field above it would send a form without one.
  if (event.target.matches("[data-import]")) event.preventDefault();
  if (!event.target.matches("[data-download]")) return;
  // Empty fields make an ugly address; the browser's own download shows how far it is.
  for (const field of event.target.elements) {
    if (field.name && !field.value) {
      field.disabled = true;
      setTimeout(() => { field.disabled = false; });
    }
  }
  setTimeout(() => event.target.closest("dialog")?.close(), 100);
}

function onDrop(event) {
  // Wherever the file falls beside its place: the browser would leave the page to show it.
  const place = $("[data-drop]");
  if (!place) return;
  event.preventDefault();
  place.classList.toggle("over", event.type === "dragover");
  const file = event.type === "drop" && event.dataTransfer.files[0];
  if (file) send(place.closest("form"), file);
}

// --- charts -------------------------------------------------------------------------------------

function onPoint(event) {
  const column = event.target.closest?.(".column");
  if (column) $(".told", column.closest(".plot")).textContent = column.dataset.told;
}

// --- everything that comes into the page --------------------------------------------------------

function dress(root) {
  showTimes(root);
  for (const button of $$("button.copy[hidden]", root)) button.hidden = false;
}

async function loadLater(place) {
  const { ok, html } = await part(place.dataset.load, "column");
  if (ok) place.replaceChildren(fragment(html));
  dress(place);
}

function tidyToast() {
  const address = new URL(location.href);
  if (!$("#toast .note")) return;
  for (const name of ["binned", "told"]) address.searchParams.delete(name);
  history.replaceState(history.state, "", address);
  shown = here();
  setTimeout(() => $("#toast .note")?.remove(), 10000);
}

document.addEventListener("pointerdown", (event) => { pressed = isBeside(event); });
document.addEventListener("click", onClick);
document.addEventListener("keydown", onKey);
document.addEventListener("submit", onSubmit);
document.addEventListener("change", (event) => {
  const { form, files } = event.target;
  if (event.target.matches("[data-drop] input") && files[0]) send(form, files[0]);
  else if (form?.matches("[data-count]") && event.target.matches(".pair input")) recount(form);
});
for (const name of ["dragover", "dragleave", "drop"]) document.addEventListener(name, onDrop);
document.addEventListener("pointerover", onPoint);
addEventListener("popstate", goBack);
// A proxy on this machine, or in this house, may answer without the network that is lost.
addEventListener("offline", async () => {
  warn("offline");
  await pause();
  answered(import.meta.url, { cache: "no-store" });
});

tellZone();
dress(document);
tidyToast();
begin();
for (const link of $$(".list [data-more], .hits [data-more], .calls [data-more]")) watcher.observe(link);
for (const place of $$("[data-load]")) loadLater(place);
$(".rows [aria-current]")?.scrollIntoView({ block: "nearest" });
