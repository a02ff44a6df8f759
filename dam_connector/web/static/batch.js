// The progress of a batch, by server-sent events; by a request every few seconds when the server has no free
// stream.
const POLL_MS = 5000;
const grid = document.querySelector("[data-events]");
const progress = document.querySelector("[data-progress]");

const withoutTimes = (html) => html.replace(/>[^<]*<\/time>/g, "></time>");  // they go on by themselves
// Show a snapshot of the batch; return true when the page needs other buttons: the batch is over, or was stopped.
const show = ({ bar, cards, over, state }) => {
  progress.innerHTML = bar;
  if (cards.length) document.querySelector("[data-no-cards]")?.remove();
  for (const { id, html } of [...cards].reverse()) {
    const place = document.getElementById(id) ?? Object.assign(document.createElement("li"), { id });
    if (withoutTimes(place.innerHTML) !== withoutTimes(html)) place.innerHTML = html;
    if (!place.isConnected) grid.prepend(place);
  }
  return over || state !== grid.dataset.state;
};

const poll = async () => {
  const response = await fetch(grid.dataset.poll);
  if (response.ok && show(await response.json())) location.reload();
  else setTimeout(poll, POLL_MS);
};

if (grid) {
  const events = new EventSource(grid.dataset.events);
  events.addEventListener("message", (event) => {
    if (show(JSON.parse(event.data))) {
      events.close();
      location.reload();
    }
  });
  events.addEventListener("error", () => {
    if (events.readyState === EventSource.CLOSED) setTimeout(poll, POLL_MS);
  });
}
