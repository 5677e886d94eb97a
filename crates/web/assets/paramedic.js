// Keeps a page true: parts that have changed come as events, and become the new ones in place, so that what somebody has
// typed, opened, chosen or scrolled to stays. Without this script a page is as it was when it was loaded.
"use strict";
(() => {
  const connection = document.getElementById("connection");
  let events = document.body.dataset.events;
  // Our clock may differ from the server's: the page says when it was made.
  const skew = Date.now() - Number(document.body.dataset.now || Date.now());

  // === Parts ===

  // Makes an element like another one. Nodes stay where they can; those with an id are found by it.
  function become(old, now) {
    for (const { name } of [...old.attributes])
      if (!now.hasAttribute(name) && name !== "open") old.removeAttribute(name);
    for (const { name, value } of [...now.attributes])
      // Whether something is open is for whoever looks.
      if (name !== "open" && old.getAttribute(name) !== value) old.setAttribute(name, value);
    // What is being typed is nobody else's.
    if (old.localName !== "textarea") children(old, now);
  }

  function children(old, now) {
    let at = old.firstChild;
    for (const wanted of [...now.childNodes]) {
      const same = find(old, at, wanted);
      if (!same) {
        old.insertBefore(wanted, at);
        continue;
      }
      if (same === at) at = at.nextSibling;
      else old.insertBefore(same, at);
      if (same.nodeType !== Node.ELEMENT_NODE) {
        if (same.data !== wanted.data) same.data = wanted.data;
      } else if (same.dataset.since) {
        // Its text is our own: it counts.
        if (same.dataset.since !== wanted.dataset.since) same.replaceWith(wanted);
      } else become(same, wanted);
    }
    while (at) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
  }

  // The node that is to become the wanted one: the one with its id, or the next where neither has any.
  function find(old, at, wanted) {
    if (wanted.id) return [...old.children].find((one) => one.id === wanted.id && one.localName === wanted.localName);
    if (at && !at.id && at.nodeType === wanted.nodeType && at.nodeName === wanted.nodeName) return at;
    return null;
  }

  function elements(html) {
    const template = document.createElement("template");
    template.innerHTML = html;
    return template;
  }

  function take({ parts, whole }) {
    if (whole !== undefined) {
      const all = document.createElement("div");
      all.append(elements(whole).content);
      children(document.getElementById("parts"), all);
    }
    for (const { id, html } of parts || []) {
      const [old, now] = [document.getElementById(id), elements(html).content.firstElementChild];
      if (old && now) become(old, now);
    }
    count();
    document.dispatchEvent(new Event("paramedic:changed"));
  }

  // === Time ===

  function length(ms) {
    const s = Math.max(0, Math.floor(ms / 1000));
    if (s < 60) return s + " s";
    if (s < 3600) return Math.floor(s / 60) + " min " + (s % 60) + " s";
    return Math.floor(s / 3600) + " h " + (Math.floor(s / 60) % 60) + " min";
  }

  // How long ago, or until: what moves by itself is counted here.
  function count() {
    const now = Date.now() - skew;
    for (const one of document.querySelectorAll("[data-since]")) {
      const ms = now - Number(one.dataset.since);
      const text = (ms < 0 ? "in " : "") + length(Math.abs(ms)) + (ms >= 0 && one.dataset.ago ? " ago" : "");
      if (one.textContent !== text) one.textContent = text;
    }
  }
  count();
  setInterval(count, 1000);

  // === The stream ===

  let source = null;
  let again = 0;

  function lost() {
    connection.textContent = "Connection lost, reconnecting …";
  }

  function listen() {
    clearTimeout(again);
    if (source) source.close();
    const address = new URL(events, location.href);
    address.searchParams.set("seen", listen.seen || address.searchParams.get("seen"));
    source = new EventSource(address);
    source.onopen = () => (connection.textContent = "");
    source.onmessage = (event) => {
      listen.seen = event.lastEventId;
      take(JSON.parse(event.data));
    };
    source.addEventListener("gone", () => location.reload());
    source.onerror = () => {
      lost();
      // A browser comes again by itself, but not after a refusal.
      if (source.readyState === EventSource.CLOSED) again = setTimeout(listen, 3000);
    };
  }

  // === Finding while typing ===

  // What is typed into such a form is looked for by the server, as if it was sent: the page becomes the one with the answer.
  const form = document.querySelector("form[data-live]");
  let typing = 0;
  let asked = null;

  async function search() {
    if (asked) asked.abort();
    asked = new AbortController();
    const address = new URL(location.href);
    address.search = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== ""));
    try {
      const answer = await fetch(address, { signal: asked.signal });
      // Who is no longer signed in is led to the door.
      if (!answer.ok || answer.redirected) return location.assign(address);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      children(document.getElementById("parts"), page.getElementById("parts"));
      events = page.body.dataset.events;
      listen.seen = undefined;
      history.replaceState(null, "", address);
      count();
      listen();
    } catch (error) {
      if (error.name !== "AbortError") lost();
    }
  }

  if (form && events)
    form.addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(search, 200);
    });

  if (events) {
    listen();
    // A browser has few connections to one place: pages that nobody sees leave theirs to others.
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") listen();
      else {
        clearTimeout(again);
        source.close();
      }
    });
  }
})();
