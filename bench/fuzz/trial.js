// One mutated file: made, read, and judged.
import { createHash } from 'node:crypto'
import { LatentkitError } from '../../dist/platform/errors.js'
import { formats } from './formats.js'
import { mutate, randomOf } from './mutate.js'

/** What one file may cost; they have some kilobytes. */
export const limits = { seconds: 1, megabytes: 128 }

const names = Object.keys(formats)
const shares = names.flatMap(name => Array(formats[name].weight).fill(name))

/** The file of a seed: its format, its bytes and what was done to it. */
export function fileOf(seed) {
  const random = randomOf(seed)
  const name = random.pick(shares)
  const { seeds, damage, repair } = formats[name]
  const good = random.pick(seeds)
  const { bytes, kinds } = damage ? damage(good, random) : mutate(good, random, random.pick(seeds))
  const whole = repair && random.below(2) > 0
  return { name, bytes: whole ? repair(bytes) : bytes, kinds }
}

/**
 * Reads the file of a seed. `problem` says what is wrong with how it was taken or refused; `read` is what was read, of a
 * format that a peer reads too.
 */
export async function trial(seed, folder) {
  const { name, bytes, kinds } = fileOf(seed)
  const { read, says, peer, nameless } = formats[name]
  const file = `mutated-${seed}`
  const before = process.resourceUsage().maxRSS
  const started = process.cpuUsage()
  const outcome = { seed, name, kinds, size: bytes.length }
  let found
  try {
    // The readers may give views; what they took must not change under them.
    found = await read(bytes.slice(), file, folder)
    outcome.accepted = true
  } catch (error) {
    outcome.accepted = false
    outcome.offset = error.offset !== undefined
    outcome.message = String(error.message).slice(0, 300)
    if (!(error instanceof LatentkitError)) outcome.problem = `is refused by accident: ${error.stack ?? error}`
    else if (!nameless && !error.message.includes(file))
      outcome.problem = `is refused without its name: ${error.message}`
    // A configuration is told all that is wrong with it, a line each.
    else if (error.message.length > 8000) outcome.problem = `is refused in ${error.message.length} characters`
  }
  const { user, system } = process.cpuUsage(started)
  outcome.seconds = (user + system) / 1e6
  outcome.megabytes = (process.resourceUsage().maxRSS - before) / 1024
  if (outcome.seconds > limits.seconds) outcome.problem = `takes ${outcome.seconds} s`
  if (outcome.megabytes > limits.megabytes) outcome.problem = `takes ${outcome.megabytes} MB`
  if (outcome.accepted && says) {
    try {
      if (digest(await says(bytes)) !== digest(found)) outcome.problem = 'is read as something else than its bytes say'
    } catch (error) {
      outcome.problem = `is taken, and cannot be read another way: ${error}`
    }
  }
  if (outcome.accepted && peer) outcome.read = summary(found)
  return outcome
}

/** Tensors as their types, shapes and the hashes of their bytes. */
const summary = tensors =>
  Object.fromEntries(
    [...tensors].map(([name, { dtype, shape, bytes }]) => [
      name,
      [dtype, [...shape], createHash('sha256').update(bytes).digest('hex')],
    ]),
  )

const digest = found =>
  JSON.stringify(found instanceof Map ? Object.entries(summary(found)).sort(([a], [b]) => (a < b ? -1 : 1)) : found)
