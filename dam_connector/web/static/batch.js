// A batch as it goes on: told by the server, or asked for every few seconds where it has no place for one more listener.
const grid = document.querySelector("[data-events]");
const bar = document.querySelector("[data-now]");

const show = ({ bar: html, cards, over }) => {
  bar.innerHTML = html;
  if (cards.length) document.querySelector("[data-first]")?.remove();
  for (const { id, html: card } of [...cards].reverse()) {
    const place = document.getElementById(id) ?? Object.assign(document.createElement("li"), { id });
    if (place.innerHTML !== card) place.innerHTML = card;
    if (!place.isConnected) grid.prepend(place);
  }
  return over;
};

const ask = async () => {
  const answer = await fetch(grid.dataset.ask);
  if (answer.ok && show(await answer.json())) location.reload();  // the buttons are others now
  else setTimeout(ask, 5000);
};

if (grid) {
  const events = new EventSource(grid.dataset.events);
  events.addEventListener("message", (event) => {
    if (show(JSON.parse(event.data))) {
      events.close();
      location.reload();
    }
  });
  events.addEventListener("error", () => { if (events.readyState === EventSource.CLOSED) setTimeout(ask, 5000); });
}
