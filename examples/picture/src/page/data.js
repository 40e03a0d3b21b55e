// The sums that came with the page, and those of a choice of groups and times.

/** Numbers of seven bits in a byte, the lowest first; the eighth bit says that more follow. */
function numbersOf(base64) {
  const bytes = atob(base64);
  const numbers = [];
  let value = 0;
  let scale = 1;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes.charCodeAt(at);
    value += (byte & 127) * scale; // not shifted: that would end at 32 bits
    if (byte & 128) {
      scale *= 128;
    } else {
      numbers.push(value);
      value = 0;
      scale = 1;
    }
  }
  return numbers;
}

/** Whether a group is one of its own, and not all others. */
function isNamed(data, group) {
  return group < data.namedGroups;
}

/** Names, and after them one for all others. */
function namesOf(ranking, noun) {
  const others = ranking.others > 0 ? [number(ranking.others) + noun] : [];
  return ranking.names.concat(others);
}

function decode(packed) {
  const groups = namesOf(packed.groups, ' others');
  const data = {
    groups,
    namedGroups: packed.groups.names.length, // what follows is all others, if there are any
    firsts: namesOf(packed.firsts, ' other events'),
    lasts: namesOf(packed.lasts, ' other events'),
    times: packed.times,
    kinds: 2 + packed.lengths.length - 1,
    lengths: packed.lengths,
    total: packed.total,
    missing: numbersOf(packed.missing),
  };
  data.cells = cellsOf(numbersOf(packed.cells), data);
  data.flows = flowsOf(numbersOf(packed.flows), data);
  data.longest = longestOf(numbersOf(packed.longest), packed);
  return data;
}

function cellsOf(numbers, data) {
  const count = numbers.length / 4;
  const cells = {
    count,
    time: new Uint16Array(count),
    group: new Uint16Array(count),
    kind: new Uint16Array(count),
    sessions: new Float64Array(count),
    events: new Float64Array(count),
    seconds: new Float64Array(count),
  };
  let index = 0;
  for (let cell = 0; cell < count; cell++, index++) {
    index += numbers[4 * cell];
    const place = Math.floor(index / data.kinds);
    cells.kind[cell] = index % data.kinds;
    cells.group[cell] = place % data.groups.length;
    cells.time[cell] = Math.floor(place / data.groups.length);
    cells.sessions[cell] = numbers[4 * cell + 1];
    cells.events[cell] = numbers[4 * cell + 2];
    cells.seconds[cell] = numbers[4 * cell + 3];
  }
  return cells;
}

function flowsOf(numbers, data) {
  const count = numbers.length / 2;
  const pairs = data.firsts.length * data.lasts.length;
  const flows = {
    count,
    time: new Uint16Array(count),
    group: new Uint16Array(count),
    pair: new Uint16Array(count),
    sessions: new Float64Array(count),
  };
  let index = 0;
  for (let flow = 0; flow < count; flow++, index++) {
    index += numbers[2 * flow];
    const place = Math.floor(index / pairs);
    flows.pair[flow] = index % pairs;
    flows.group[flow] = place % data.groups.length;
    flows.time[flow] = Math.floor(place / data.groups.length);
    flows.sessions[flow] = numbers[2 * flow + 1];
  }
  return flows;
}

function longestOf(numbers, packed) {
  const rows = [];
  let begin = packed.times.earlier ?? packed.times.origin;
  for (let at = 0; at < numbers.length; at += 8) {
    begin += numbers[at];
    rows.push({
      begin,
      time: bucketOf(packed.times, begin),
      group: numbers[at + 1],
      seconds: numbers[at + 2],
      events: numbers[at + 3],
      user: packed.users[numbers[at + 4]],
      first: packed.events[numbers[at + 5]],
      last: packed.events[numbers[at + 6]],
      name: packed.names[numbers[at + 7]],
    });
  }
  return rows;
}

/** The first and the last bucket may hold all that lies outside. */
function bucketOf(times, seconds) {
  const bucket = Math.floor((seconds - times.origin) / times.width);
  return Math.max(0, Math.min(bucket, times.count - 1));
}

/** Whether a bucket holds what lies outside of the range that is shown finely. */
function isOutside(times, bucket) {
  return (bucket === 0 && times.earlier !== undefined) || (bucket === times.count - 1 && times.later !== undefined);
}

/** Where a bucket begins, in seconds; at the end, where the last one ends. */
function edgeOf(times, bucket) {
  if (bucket === 0 && times.earlier !== undefined) return times.earlier;
  if (bucket === times.count && times.later !== undefined) return times.later + 1;
  return times.origin + bucket * times.width;
}

/** The edges of the range that is shown finely. */
function fineRange(times) {
  return [isOutside(times, 0) ? 1 : 0, isOutside(times, times.count - 1) ? times.count - 1 : times.count];
}

/** `1 session before (the first at 2017-12-01 08:00:00) and 2 after (…)`, or nothing. */
function outsideText(times, sums) {
  const text = (bucket, words, time) => {
    const { sessions } = sums[bucket];
    if (time === undefined || sessions === 0) return [];
    return [counted(sessions, 'session') + words + timeText(time, 1) + ')'];
  };
  const before = text(0, ' before (the first at ', times.earlier);
  return before.concat(text(times.count - 1, ' after (the last at ', times.later)).join(' and ');
}

/** All groups, all times. */
function everything(data) {
  return { groups: new Set(), from: 0, to: data.times.count };
}

function holdsGroup(choice, group) {
  return choice.groups.size === 0 || choice.groups.has(group);
}

function holdsTime(choice, time) {
  return choice.from <= time && time < choice.to;
}

function noSums() {
  return { sessions: 0, events: 0, seconds: 0, bounces: 0 };
}

function addCell(sums, cells, cell) {
  sums.sessions += cells.sessions[cell];
  sums.events += cells.events[cell];
  sums.seconds += cells.seconds[cell];
  if (cells.kind[cell] < 2) sums.bounces += cells.sessions[cell];
}

/**
 * The sums of a choice. The groups follow the chosen times and the times the chosen groups, so that
 * what is not chosen can be chosen next; everything else follows both.
 */
function select(data, choice) {
  const listOf = count => Array.from({ length: count }, noSums);
  const sums = {
    total: noSums(),
    groups: listOf(data.groups.length),
    times: listOf(data.times.count),
    kinds: listOf(data.kinds),
    flows: new Float64Array(data.firsts.length * data.lasts.length),
  };
  const cells = data.cells;
  for (let cell = 0; cell < cells.count; cell++) {
    const group = holdsGroup(choice, cells.group[cell]);
    const time = holdsTime(choice, cells.time[cell]);
    if (time) addCell(sums.groups[cells.group[cell]], cells, cell);
    if (group) addCell(sums.times[cells.time[cell]], cells, cell);
    if (!group || !time) continue;
    addCell(sums.kinds[cells.kind[cell]], cells, cell);
    addCell(sums.total, cells, cell);
  }
  const flows = data.flows;
  for (let flow = 0; flow < flows.count; flow++) {
    if (holdsGroup(choice, flows.group[flow]) && holdsTime(choice, flows.time[flow])) {
      sums.flows[flows.pair[flow]] += flows.sessions[flow];
    }
  }
  return sums;
}

/** The longest sessions of a choice, `most` of them or as many as are known without gaps. */
function longest(data, choice, most) {
  let missing = 0;
  for (let time = choice.from; time < choice.to; time++) {
    for (let group = 0; group < data.groups.length; group++) {
      if (holdsGroup(choice, group)) missing = Math.max(missing, data.missing[time * data.groups.length + group]);
    }
  }
  const rows = data.longest.filter(row => {
    return row.seconds + 1 >= missing && holdsGroup(choice, row.group) && holdsTime(choice, row.time);
  });
  rows.sort((a, b) => b.seconds - a.seconds || a.begin - b.begin);
  return rows.slice(0, most);
}
