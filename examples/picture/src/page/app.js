// Puts the figures together: one choice, and all that follows it.

const MOST_ROWS = 50;
const packed = JSON.parse(byId('data').textContent);
const data = decode(packed);
const state = { choice: everything(data), sums: null, sort: { column: 'seconds', descending: true } };

/** Another group alone, or one more; the only one again: all. */
function chooseGroup(group, isOneMore) {
  const groups = state.choice.groups;
  const others = isOneMore ? new Set(groups) : new Set();
  if (groups.has(group) && (isOneMore || groups.size === 1)) others.delete(group);
  else others.add(group);
  choose({ ...state.choice, groups: others });
}

function chooseTimes(from, to) {
  const { choice } = state;
  if (from !== choice.from || to !== choice.to) choose({ ...choice, from, to });
}

function reset() {
  choose(everything(data));
}

let isDrawing = false;

/** Everything is drawn once per frame at most. */
function choose(choice) {
  state.choice = choice;
  state.sums = select(data, choice);
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    show();
    sayLater();
  });
}

function show() {
  const { choice, sums } = state;
  showTotals(sums.total);
  showGroups(data, choice, sums);
  showTimes(data, choice, sums);
  showLengths(data, sums);
  showFlows(data, sums);
  showLongest();
  byId('choice').textContent = choiceText();
  byId('reset').disabled = isEverything();
}

function isEverything() {
  const { groups, from, to } = state.choice;
  return groups.size === 0 && from === 0 && to === data.times.count;
}

function choiceText() {
  const { groups, from, to } = state.choice;
  if (isEverything()) return 'Everything is shown.';
  const names = [...groups].map(group => isolated(shortened(data.groups[group], 60))).join(', ');
  const range = from === 0 && to === data.times.count ? '' : edgeText(data, from) + ' to ' + edgeText(data, to);
  return 'Only ' + [names, range].filter(Boolean).join(', ');
}

let saying = 0;

/** For screen readers, when a drag has come to rest. */
function sayLater() {
  clearTimeout(saying);
  saying = setTimeout(() => {
    const { sessions, events, seconds } = state.sums.total;
    const sums = [counted(sessions, 'session'), counted(events, 'event'), duration(seconds) + ' in sessions'];
    byId('said').textContent = choiceText().replace(/\.$/, '') + ': ' + sums.join(', ') + '.';
  }, 250);
}

function showTotals(total) {
  const all = data.total;
  const mean = total.sessions > 0 ? duration(Math.round(total.seconds / total.sessions)) : '–';
  const figures = [
    ['sessions', 'Sessions', number(total.sessions), total.sessions, 'of ' + number(all.sessions)],
    ['events', 'Events', number(total.events), total.events, 'of ' + number(all.events)],
    ['seconds', 'Time in sessions', duration(total.seconds), total.seconds, number(total.seconds) + ' s'],
    ['mean', 'On average', mean, '', 'per session'],
    ['bounces', 'Bounces', share(total.bounces, total.sessions), total.bounces, number(total.bounces)],
  ];
  const list = byId('totals');
  list.replaceChildren();
  figures.forEach(([name, title, value, exact, more]) => {
    const item = add(list, 'div');
    add(item, 'dt', {}, title);
    add(item, 'dd', { 'data-total': name, 'data-exact': exact }, value);
    add(item, 'dd', { class: 'more' }, more);
  });
}

const COLUMNS = [
  ['begin', 'Begin', row => timeText(row.begin, 1)],
  ['user', packed.user, row => row.user],
  ['name', packed.group || 'group', row => row.name],
  ['first', 'First event', row => row.first],
  ['last', 'Last event', row => row.last],
  ['events', 'Events', row => row.events],
  ['seconds', 'Duration', row => duration(row.seconds)],
].filter(([, title]) => title !== '');

function sortBy(column) {
  const { sort } = state;
  const isNumber = ['begin', 'events', 'seconds'].includes(column);
  const descending = sort.column === column ? !sort.descending : isNumber;
  state.sort = { column, descending };
  showLongest();
}

/** Texts that are numbers are ordered as numbers. */
function compared(a, b) {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return String(a).localeCompare(String(b), 'en', { numeric: true });
}

function makeLongest() {
  const table = byId('longest').querySelector('table');
  const head = add(add(table, 'thead'), 'tr');
  COLUMNS.forEach(([column, title]) => {
    const cell = add(head, 'th', { scope: 'col', 'data-column': column });
    add(cell, 'button', { type: 'button' }, title).onclick = () => sortBy(column);
  });
  add(table, 'tbody');
}

function showLongest() {
  const table = byId('longest').querySelector('table');
  const { column, descending } = state.sort;
  const rows = longest(data, state.choice, MOST_ROWS);
  const ordered = rows.slice().sort((a, b) => (descending ? -1 : 1) * compared(a[column], b[column]));
  table.querySelectorAll('thead th').forEach(cell => {
    const isSorted = cell.dataset.column === column;
    if (isSorted) cell.setAttribute('aria-sort', descending ? 'descending' : 'ascending');
    else cell.removeAttribute('aria-sort');
  });
  const body = table.querySelector('tbody');
  body.replaceChildren();
  ordered.forEach(row => {
    const line = add(body, 'tr', { 'data-seconds': row.seconds });
    COLUMNS.forEach(([name, , text]) => {
      const shown = text(row);
      const cell = add(line, 'td', {}, typeof shown === 'number' ? number(shown) : shown);
      if (['events', 'seconds'].includes(name)) cell.className = 'number';
      if (name === 'seconds') cell.title = number(row.seconds) + ' s';
    });
  });
  const all = state.sums.total.sessions;
  byId('longest-said').textContent = rows.length === all
    ? 'All ' + counted(all, 'session') + ' of the choice.'
    : 'The ' + number(rows.length) + ' longest of ' + counted(all, 'session') + '.';
}

function start() {
  const { times } = data;
  const group = packed.group || 'group';
  byId('groups-title').textContent = 'Time in sessions by ' + group;
  makeTiles(data);
  makeTimes(data);
  makeFlows(data);
  makeLongest();
  state.sums = select(data, state.choice);
  const [from, to] = fineRange(times).map(edge => edgeText(data, edge));
  const outside = outsideText(times, state.sums.times);
  byId('range').textContent = from + ' to ' + to + ' UTC' + (outside && '; ' + outside);
  show();
  byId('reset').onclick = reset;
  document.addEventListener('keydown', event => event.key === 'Escape' && !isEverything() && reset());
  new ResizeObserver(() => requestAnimationFrame(show)).observe(document.querySelector('main'));
  // When the first picture has reached the screen: for the tests and the figures in README.md.
  requestAnimationFrame(() => setTimeout(() => {
    document.documentElement.dataset.shown = Math.round(performance.now());
  }));
}

start();
