// A squarified treemap, after M. Bruls, K. Huizing and J. J. van Wijk, "Squarified Treemaps", 2000.
//
// Rectangles are laid in rows along the shorter side of what is free, the largest first. A row takes
// the next one as long as that makes its worst ratio of sides better. The last row takes all that is
// left, so that rounding leaves no gap.

/** A rectangle for each weight, in their order; null for weights that are not positive. */
function squarify(weights, width, height) {
  const rectangles = weights.map(() => null);
  const order = weights.map((_, index) => index).filter(index => weights[index] > 0);
  order.sort((a, b) => weights[b] - weights[a] || a - b);
  const sum = order.reduce((sum, index) => sum + weights[index], 0);
  const area = index => weights[index] / sum * width * height;
  let free = { x: 0, y: 0, width, height };
  for (let start = 0; start < order.length;) {
    const end = rowEnd(order, start, area, Math.min(free.width, free.height));
    free = layRow(order.slice(start, end), area, free, end === order.length, rectangles);
    start = end;
  }
  return rectangles;
}

/** The same where only the first so many weights are things of their own: the rest stands at the end. */
function squarifyWithRest(weights, named, width, height) {
  const total = some => some.reduce((sum, weight) => sum + weight, 0);
  const [own, rest] = [weights.slice(0, named), weights.slice(named)];
  const share = total(rest) / total(weights) || 0;
  const isWide = width >= height;
  const [x, y] = isWide ? [width * (1 - share), 0] : [0, height * (1 - share)];
  const first = squarify(own, isWide ? x : width, isWide ? height : y);
  const last = squarify(rest, width - x, height - y);
  return first.concat(last.map(rectangle => rectangle && { ...rectangle, x: x + rectangle.x, y: y + rectangle.y }));
}

/** Where the row that begins at `start` is best ended. */
function rowEnd(order, start, area, side) {
  let sum = area(order[start]);
  let worst = worstRatio(sum, sum, sum, side);
  let end = start + 1;
  for (; end < order.length; end++) {
    const next = area(order[end]);
    const ratio = worstRatio(sum + next, area(order[start]), next, side);
    if (ratio > worst) break;
    sum += next;
    worst = ratio;
  }
  return end;
}

/** The worst ratio of sides in a row of this area along this side. */
function worstRatio(sum, largest, smallest, side) {
  return Math.max(side * side * largest / (sum * sum), sum * sum / (side * side * smallest));
}

/** Lays a row along the shorter side, and returns what stays free. */
function layRow(row, area, free, isLast, rectangles) {
  const isColumn = free.width >= free.height;
  const side = isColumn ? free.height : free.width;
  const depth = isColumn ? free.width : free.height;
  const sum = row.reduce((sum, index) => sum + area(index), 0);
  const thick = isLast ? depth : Math.min(sum / side, depth);
  let done = 0;
  for (const index of row) {
    const from = side * done / sum;
    done += area(index);
    const long = side * done / sum - from;
    rectangles[index] = isColumn
      ? { x: free.x, y: free.y + from, width: thick, height: long }
      : { x: free.x + from, y: free.y, width: long, height: thick };
  }
  return isColumn
    ? { x: free.x + thick, y: free.y, width: free.width - thick, height: free.height }
    : { x: free.x, y: free.y + thick, width: free.width, height: free.height - thick };
}

/** The rectangle that one comes to in a direction: the nearest whose middle lies that way. */
function neighbour(rectangles, from, direction) {
  const middle = r => [r.x + r.width / 2, r.y + r.height / 2];
  const [x, y] = middle(rectangles[from]);
  let best = from;
  let shortest = Infinity;
  rectangles.forEach((rectangle, index) => {
    if (!rectangle || index === from) return;
    const [dx, dy] = [middle(rectangle)[0] - x, middle(rectangle)[1] - y];
    const along = dx * direction[0] + dy * direction[1];
    const aside = Math.abs(dx * direction[1]) + Math.abs(dy * direction[0]);
    if (along > 0.5 && along + 2 * aside < shortest) {
      best = index;
      shortest = along + 2 * aside;
    }
  });
  return best;
}

const COLOURS = 6;
/** Neighbouring colours stand for at least so many times the events. */
const LEAST_RATIO = 1.5;

/**
 * Where each step of colour begins: equal ratios between the fewest and the most events. Numbers that
 * differ little have few steps, or one.
 */
function colourSteps(counts) {
  const filled = counts.filter(count => count > 0);
  if (filled.length === 0) return [];
  const [least, most] = [Math.min(...filled), Math.max(...filled)];
  const ratio = Math.max(LEAST_RATIO, Math.pow(most / least, 1 / COLOURS));
  const steps = Array.from({ length: COLOURS }, (_, index) => Math.round(least * Math.pow(ratio, index)));
  return steps.filter((step, index) => index === 0 || (step > steps[index - 1] && step <= most));
}

/** The number of a colour, 0 to 5: few steps are neighbours in the middle of the range of colours. */
function colourOf(steps, step) {
  return Math.floor((COLOURS - steps.length) / 2) + step;
}

function stepOf(steps, count) {
  return Math.max(0, steps.filter(step => step <= count).length - 1);
}
