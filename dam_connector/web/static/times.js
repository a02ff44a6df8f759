// Relative times go on while a page is open, in the words of `ago` in web/formatting.py.
const TICK_MS = 5000;
const UNITS = [[90, 1, "s"], [5400, 60, "min"], [129_600, 3600, "h"], [14 * 86_400, 86_400, "days"]];
// The clock of this device may be wrong: the page says when it was made.
const skewMs = Date.parse(document.body.dataset.now) - Date.now();

const ago = (moment) => {
  const seconds = (Date.now() + skewMs - Date.parse(moment)) / 1000;
  const found = UNITS.find(([limit]) => Math.abs(seconds) < limit);
  if (!found) return null;  // a day, which stays as it is
  const text = `${Math.round(Math.abs(seconds) / found[1])} ${found[2]}`;
  return seconds >= 0 ? `${text} ago` : `in ${text}`;
};

setInterval(() => {
  for (const time of document.querySelectorAll("time[datetime]")) {
    const text = ago(time.dateTime);
    if (text && time.textContent !== text) time.textContent = text;
  }
}, TICK_MS);
