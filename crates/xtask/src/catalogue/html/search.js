// Shows the events that have all words of the search, marks where the reader is, and folds the menu away on small screens.
"use strict";
(() => {
  const input = document.getElementById("search");
  const found = document.getElementById("found");
  const nothing = document.getElementById("nothing");
  const menu = document.getElementById("menu");
  const links = new Map();
  for (const link of menu.querySelectorAll("a")) links.set(link.hash.slice(1), link);
  const events = [...document.querySelectorAll("article")].map((article) => ({
    article,
    item: links.get(article.id).parentElement,
    text: `${article.parentElement.id} ${article.textContent}`.toLowerCase(),
  }));

  const search = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const { article, item, text } of events) {
      const hit = words.every((word) => text.includes(word));
      article.hidden = item.hidden = !hit;
      if (hit) count += 1;
    }
    for (const section of document.querySelectorAll(".service")) {
      const empty = section.querySelector("article:not([hidden])") === null;
      section.hidden = links.get(section.id).parentElement.hidden = empty;
    }
    for (const id of ["top", "envelope"]) document.getElementById(id).hidden = words.length > 0;
    nothing.hidden = count > 0;
    found.textContent = words.length > 0 ? `${count} of ${events.length} events` : "";
  };
  const clear = () => {
    input.value = "";
    search();
  };

  input.closest(".search").hidden = false;
  input.addEventListener("input", search);
  input.addEventListener("keydown", (event) => {
    const first = events.find(({ article }) => !article.hidden);
    if (event.key === "Enter" && first) location.hash = first.article.id;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") clear();
    if (event.key !== "/" || event.target === input || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    input.focus();
  });

  const small = matchMedia("(max-width: 860px)");
  const fold = () => {
    menu.open = !small.matches;
  };
  small.addEventListener("change", fold);
  fold();
  document.querySelector("nav").addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (link === null) return;
    if (document.getElementById(link.hash.slice(1))?.closest("[hidden]")) clear();
    if (small.matches) menu.open = false;
  });

  const watcher = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        const link = links.get(target.id);
        if (isIntersecting) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      }
    },
    { rootMargin: "-20% 0px -79% 0px" },
  );
  for (const { article } of events) watcher.observe(article);
})();
