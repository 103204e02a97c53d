
// Texts, elements, results, and the confirmation before what is hard to undo.

const at = id => document.getElementById(id);

// Changes only what differs, so that a selection or a screen reader is not disturbed.
function say(id, text) {
  if (at(id).textContent !== text) at(id).textContent = text;
}

function show(id, shown) {
  if (at(id).hidden === shown) at(id).hidden = !shown;
}

function mark(id, mood, base) {
  const wanted = `${base} ${mood}`.trim();
  if (at(id).className !== wanted) at(id).className = wanted;
}

function pill(id, mood, text) {
  mark(id, mood, 'pill');
  say(id, text);
}

function element(name, text, className) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function bar(id, value, most, mood, text) {
  const share = most > 0 ? Math.min(100, 100 * value / most) : 0;
  mark(id, mood, 'bar');
  at(id).setAttribute('aria-valuemax', most);
  at(id).setAttribute('aria-valuenow', Math.min(value, most));
  at(id).setAttribute('aria-valuetext', text);
  // At least 4 pixels, so that a small value is visible.
  at(id).firstElementChild.style.width = value > 0 ? `max(4px, ${share}%)` : '0';
}

// --- words -----------------------------------------------------------------------------------------

const DAY = 86_400_000;

function count(number, unit) {
  return `${number.toLocaleString('en')} ${unit}${number === 1 ? '' : 's'}`;
}

function distance(milliseconds) {
  if (milliseconds < 60_000) return 'less than a minute';
  const steps = [['minute', 60_000], ['hour', 3_600_000], ['day', DAY], ['year', 365.25 * DAY]];
  let chosen = steps[0];
  for (const step of steps) if (milliseconds >= 2 * step[1]) chosen = step;
  return count(Math.floor(milliseconds / chosen[1]), chosen[0]);
}

const day = date => date.toLocaleDateString('en-GB', {day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC'});

// The mood and the text for an end date.
function ending(date) {
  const left = date - now();
  const mood = left <= 0 ? 'bad' : left < 30 * DAY ? 'warn' : 'good';
  const words = left <= 0 ? `Expired ${distance(-left)} ago` : `Expires in ${distance(left)}`;
  return {mood, words: `${words}, on ${day(date)}.`};
}

function seconds(number) {
  const hours = Math.floor(number / 3600), minutes = Math.floor(number % 3600 / 60), rest = number % 60;
  const parts = [[hours, 'h'], [minutes, 'min'], [rest, 's']].filter(part => part[0]);
  return parts.slice(0, 2).map(part => `${part[0].toLocaleString('en')} ${part[1]}`).join(' ') || '0 s';
}

// --- results ---------------------------------------------------------------------------------------

function result(id, mood, text) {
  const notice = element('p', text, `notice ${mood}`);
  at(id).replaceChildren(...text ? [notice] : []);
  return notice;
}

// Shows the appliance's error message, and the whole answer for support.
function failed(id, error) {
  result(id, 'bad', [error.message, error.hint].filter(Boolean).join('\n'));
  if (error instanceof ApiError && error.hint) {
    const whole = element('details');
    whole.append(element('summary', 'The whole answer, for support'), element('pre', error.text));
    at(id).append(whole);
  } else if (!(error instanceof ApiError || error instanceof Unreachable)) throw error;
}

let working = 0;

// Makes one change, which returns its result as words or {mood, words}: disables the button meanwhile, shows
// the result, and refreshes the page.
async function act(button, place, doing, change) {
  if (button.ariaDisabled === 'true') return;
  button.ariaDisabled = 'true';
  working += 1;
  // Earlier results may no longer be true.
  for (const old of document.querySelectorAll('.result')) old.replaceChildren();
  result(place, '', doing);
  try {
    const said = await change();
    result(place, said.mood ?? 'good', said.words ?? said);
  } catch (error) {
    if (error.status === 401) locked();
    failed(place, error);
  } finally {
    working -= 1;
    button.ariaDisabled = null;
    refreshAll();
  }
}

function onSubmit(id, place, doing, change) {
  at(id).addEventListener('submit', event => {
    event.preventDefault();
    const form = event.target;
    act(form.querySelector('button.main'), place, doing, () => change(form));
  });
}

// `question()` returns {title, points, yes, danger}, or null for no confirmation.
function onClick(id, place, doing, question, change) {
  at(id).addEventListener('click', async () => {
    if (at(id).ariaDisabled === 'true') return;
    const asked = question();
    if (asked && !await ask(asked)) return;
    act(at(id), place, doing, change);
  });
}

// --- confirmation ----------------------------------------------------------------------------------

function ask({title, points, yes, danger = true}) {
  say('ask-title', title);
  at('ask-words').replaceChildren(...points.filter(Boolean).map(point => element('li', point)));
  say('ask-yes', yes);
  mark('ask-yes', danger ? 'danger' : 'main', '');
  const dialog = at('ask');
  return new Promise(done => {
    let agreed = false;
    at('ask-yes').onclick = () => { agreed = true; dialog.close(); };
    at('ask-no').onclick = () => dialog.close();
    dialog.onclose = () => done(agreed);
    dialog.showModal();
    // Pressing Enter without reading cancels.
    at('ask-no').focus();
  });
}

// Opens a closed part of the page and focuses it.
function unfold(id) {
  at(id).open = true;
  at(id).scrollIntoView({block: 'nearest'});
  const first = at(id).querySelector('form:not([hidden]) input:not([hidden]), a.button');
  (first ?? at(id).querySelector('summary')).focus();
}

// Calls `take` with files that are dropped on an element.
function onDrop(id, take) {
  const place = at(id);
  const over = on => event => {
    if (!event.dataTransfer.types.includes('Files')) return;
    event.preventDefault();
    place.classList.toggle('over', on);
  };
  place.addEventListener('dragover', over(true));
  place.addEventListener('dragleave', over(false));
  place.addEventListener('drop', event => {
    over(false)(event);
    if (event.dataTransfer.files.length) take([...event.dataTransfer.files]);
  });
}
