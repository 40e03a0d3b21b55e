// Numbers, durations and times as people read them. All times are UTC.

function number(value) {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** `1 session`, `2 sessions` */
function counted(value, noun) {
  return number(value) + ' ' + noun + (value === 1 ? '' : 's');
}

/** The two largest units: `3 h 12 min`. Exact up to an hour; the tables have the seconds. */
function duration(seconds) {
  const units = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];
  const first = units.findIndex(([size]) => seconds >= size);
  if (first < 0) return '0 s';
  const parts = [];
  let rest = seconds;
  for (const [size, name] of units.slice(first, first + 2)) {
    const whole = Math.floor(rest / size);
    rest -= whole * size;
    if (whole > 0) parts.push(number(whole) + ' ' + name);
  }
  return parts.join(' ');
}

function share(part, whole) {
  if (whole === 0) return '0 %';
  const percent = 100 * part / whole;
  return (percent > 0 && percent < 10 ? percent.toFixed(1) : String(Math.round(percent))) + ' %';
}

/** `2018-11-29 23:35:10`, without the seconds if they are not wanted. */
function timeText(seconds, width) {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return seconds + ' s';
  const text = date.toISOString().replace('T', ' ').replace(/\.\d+Z$/, '');
  if (width >= 86400 && seconds % 86400 === 0) return text.slice(0, -9);
  return width >= 60 && seconds % 60 === 0 ? text.slice(0, -3) : text;
}

/** A name within a sentence: where its letters go from right to left, the sentence still does not. */
function isolated(name) {
  return /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u.test(name)
    ? '\u2068' + name + '\u2069'
    : name;
}

function shortened(text, most) {
  if (text.length <= most) return text;
  return most < 2 ? '' : text.slice(0, most - 1) + '…';
}

/** The largest of 1, 2 and 5 times a power of ten that is not above, and 1 at least. */
function roundedDown(value) {
  const power = Math.pow(10, Math.floor(Math.log10(Math.max(value, 1))));
  return [5, 2, 1].map(step => step * power).find(step => step <= value) || 1;
}
