// What befalls a good file: every kind of damage that has broken a reader somewhere, drawn from a seed.

/** Random numbers of a seed: mulberry32, one word of state. */
export function randomOf(seed) {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t ^= t + Math.imul(t ^ (t >>> 7), 61 | t)
    return (t ^ (t >>> 14)) >>> 0
  }
  const below = n => next() % Math.max(1, n)
  return { below, pick: list => list[below(list.length)] }
}

const huge = [0n, 1n, 2n, 127n, 128n, 255n, 256n, 65535n, 65536n]
for (const bits of [31n, 32n, 33n, 53n, 62n, 63n, 64n]) huge.push((1n << bits) - 1n, 1n << bits, (1n << bits) + 1n)

/** Runs of these are what makes parsers recurse: JSON, YAML, and the opcodes of pickles. */
const nests = [
  '[',
  '{',
  '{"a":',
  '(',
  '- ',
  'a: ',
  '&a [*a,',
  ']',
  '}',
  ')',
  '\x85',
  '\x86',
  '(t',
  ']\x94a',
  '}q\0',
  '\0',
]
const texts = [
  '-1',
  '0.5',
  '1e999',
  '9007199254740993',
  '18446744073709551616',
  'null',
  'true',
  '"',
  '\\u0000',
  '\ud800',
]

const bytesOf = text => Uint8Array.from(text, char => char.charCodeAt(0))
const joined = (...parts) => Uint8Array.from(Buffer.concat(parts))

/** A place, half of the time where headers and directories are. */
function placeIn(bytes, random) {
  const head = Math.min(bytes.length, 300)
  return random.pick([
    () => random.below(bytes.length),
    () => random.below(bytes.length),
    () => random.below(head),
    () => Math.max(0, bytes.length - 1 - random.below(head)),
  ])()
}

const span = (bytes, random) => {
  const from = placeIn(bytes, random)
  return [from, from + 1 + random.below(random.pick([8, 64, bytes.length - from]))]
}

const kinds = {
  bits(bytes, random) {
    const out = bytes.slice()
    for (let i = 1 + random.below(4); i > 0; i--) out[placeIn(out, random)] ^= 1 << random.below(8)
    return out
  },
  byte(bytes, random) {
    const out = bytes.slice()
    out[placeIn(out, random)] = random.pick([0, 1, 0x7f, 0x80, 0xff, random.below(256)])
    return out
  },
  cut: (bytes, random) => bytes.slice(0, random.below(bytes.length + 1)),
  behead: (bytes, random) => bytes.slice(random.below(Math.min(bytes.length, 64))),
  longer: (bytes, random) =>
    joined(
      bytes,
      Uint8Array.from({ length: 1 + random.below(64) }, () => random.pick([0, random.below(256)])),
    ),
  without(bytes, random) {
    const [from, to] = span(bytes, random)
    return joined(bytes.subarray(0, from), bytes.subarray(to))
  },
  twice(bytes, random) {
    const [from, to] = span(bytes, random)
    return joined(bytes.subarray(0, to), bytes.subarray(from))
  },
  moved(bytes, random) {
    const [from, to] = span(bytes, random)
    const piece = bytes.slice(from, to)
    const out = bytes.slice()
    out.set(piece, random.below(bytes.length - piece.length + 1))
    return out
  },
  splice(bytes, random, other) {
    return joined(bytes.subarray(0, placeIn(bytes, random)), other.subarray(placeIn(other, random)))
  },
  number(bytes, random) {
    const size = random.pick([1, 2, 4, 8])
    if (bytes.length < size) return bytes
    const out = bytes.slice()
    const value = random.pick([...huge, BigInt(bytes.length), BigInt(bytes.length - 1), BigInt(bytes.length + 1)])
    const at = Math.min(placeIn(bytes, random), bytes.length - size)
    const big = random.below(4) === 0
    for (let i = 0; i < size; i++) out[at + (big ? size - 1 - i : i)] = Number((value >> BigInt(8 * i)) & 255n)
    return out
  },
  headerLength(bytes, random) {
    if (bytes.length < 8) return bytes
    const out = bytes.slice()
    new DataView(out.buffer).setBigUint64(
      0,
      random.pick([...huge, BigInt(bytes.length - 8)]) & ((1n << 64n) - 1n),
      true,
    )
    return out
  },
  digits(bytes, random) {
    const text = Buffer.from(bytes).toString('latin1')
    const runs = [...text.matchAll(/\d+/g)]
    if (runs.length === 0) return bytes
    const run = random.pick(runs)
    const written = random.pick([String(random.pick(huge)), random.pick(texts), String(Number(run[0]) + 1)])
    return bytesOf(text.slice(0, run.index) + written + text.slice(run.index + run[0].length))
  },
  nested(bytes, random) {
    const at = placeIn(bytes, random)
    const run = bytesOf(random.pick(nests).repeat(random.pick([3, 100, 5000])))
    return joined(bytes.subarray(0, at), run, bytes.subarray(at))
  },
}

/** One to four kinds of damage to a file, one after the other; `other` is a good file of the same format. */
export function mutate(bytes, random, other) {
  const applied = []
  let out = bytes
  for (let i = random.pick([1, 1, 1, 2, 2, 3, 4]); i > 0; i--) {
    const kind = random.pick(Object.keys(kinds))
    applied.push(kind)
    if (out.length > 0) out = kinds[kind](out, random, other)
  }
  return { bytes: out, kinds: applied }
}
