import { z } from 'zod'
import { FileError, LatentkitError } from '../platform/errors.js'
import { suggest } from '../schema/nearest.js'
import { i64 } from '../tensor/tensor.js'
import { classEmbedder } from './class-embedder.js'
import type { Conditioning, Lesson } from './contract.js'

const count = z.int().positive()
const words = {
  into: z
    .enum(['crossattn', 'adm'])
    .default('crossattn')
    .describe('a token for cross-attention, or added to the time embedding (num_classes of the UNet)'),
  embed_dim: count.optional().describe('width of the token'),
  names: z.array(z.string().min(1)).min(1).optional().describe('of the classes, in the order of their numbers'),
}
const needsWidth = {
  path: ['embed_dim'],
  message: 'a token for cross-attention needs its width; into: adm needs none',
}
const hasWidth = ({ into, embed_dim }: { into: string; embed_dim?: number | undefined }) =>
  into === 'adm' || embed_dim !== undefined

const config = z
  .strictObject({ ...words, n_classes: count.describe('with one more than there are, for the class that means none') })
  .refine(hasWidth, needsWidth)
const recipe = z
  .strictObject({ ...words, n_classes: count.optional().describe('one more than the data have if not given') })
  .refine(hasWidth, needsWidth)

type Config = z.output<typeof config>

/** One of several classes. Source: ldm/modules/encoders/modules.py, ClassEmbedder; openaimodel.py, label_emb. */
export const classes = {
  what: 'a class',
  config,
  recipe,
  request: {
    class: {
      schema: z.union([z.string(), z.int().nonnegative()]),
      describe: 'what the picture shows, for models of classes: a name or a number',
      placeholder: 'NAME',
      read: text => text,
      show: String,
      parse: text => text,
    },
  },
  reach: ({ into, embed_dim, n_classes }) => (into === 'adm' ? { y: n_classes } : { context: embed_dim! }),
  inputs: () => ({ labels: i64() }),
  embed: (at, { into, embed_dim, n_classes }, { labels }) =>
    into === 'adm' ? { y: labels! } : { context: classEmbedder(at, { embed_dim: embed_dim!, n_classes }, labels!) },
  learn(given, lesson) {
    const before = lesson.before && config.parse(lesson.before.config)
    const names = given.names ?? before?.names ?? lesson.dataset.labels
    checkData(names, lesson)
    const n_classes = given.n_classes ?? before?.n_classes ?? names.length + 1
    if (n_classes < names.length)
      throw new LatentkitError(`conditioning.class: the data have ${names.length} classes, n_classes is ${n_classes}`)
    return { config: { ...given, names: [...names], n_classes } }
  },
  assume: given => ({ ...given, n_classes: given.n_classes ?? (given.names?.length ?? 1000) + 1 }),
  reader({ n_classes, names }) {
    const known = names?.length ?? n_classes
    const numbers = (label: number) => ({ labels: [label] })
    return {
      ofRecord: ({ picture }) => numbers(names!.indexOf(picture.label!)),
      ofRequest: ({ class: wanted }) => ({
        positive: numbers(labelOf(wanted as string | number | undefined, names, known)),
      }),
      // The last row that no class has; CompVis' configs count 1001 classes of ImageNet for it.
      ...(known < n_classes && { none: () => numbers(n_classes - 1) }),
    }
  },
} satisfies Conditioning<Config, z.output<typeof recipe>>

function labelOf(wanted: string | number | undefined, names: readonly string[] | undefined, count: number): number {
  const range = names ? `one of ${count}: ${listed(names)}` : `a number from 0 to ${count - 1}`
  if (wanted === undefined) throw new LatentkitError(`generate: this model paints classes; wanted is class, ${range}`)
  const named = names?.indexOf(String(wanted)) ?? -1
  if (named >= 0) return named
  const number = typeof wanted === 'number' ? wanted : /^\d+$/.test(wanted) ? Number(wanted) : undefined
  if (number !== undefined && number < count) return number
  const near = typeof wanted === 'string' && names ? `; ${suggest(wanted, names)}` : ''
  throw new LatentkitError(`generate: there is no class "${wanted}"; wanted ${range}${near}`)
}

const listed = (names: readonly string[]) => names.slice(0, 20).join(', ') + (names.length > 20 ? ', …' : '')

function checkData(names: readonly string[], { dataset: { folder, pictures }, train }: Lesson): void {
  const wanted = 'wanted is a folder for each class, or "class" in each line of captions.jsonl'
  const without = train.filter(i => pictures[i]!.label === undefined)
  if (without.length > 0)
    throw new FileError(
      folder,
      `${without.length} of ${train.length} pictures have no class, ${pictures[without[0]!]!.file} the first; ${wanted}`,
    )
  const foreign = pictures.find(({ label }) => label !== undefined && !names.includes(label))
  if (foreign)
    throw new FileError(folder, `${foreign.file} is of class ${foreign.label}; the model has ${listed(names)}`)
  const there = new Set(train.map(i => pictures[i]!.label))
  const empty = names.filter(name => !there.has(name))
  if (empty.length > 0)
    throw new FileError(
      folder,
      `no picture to train on for the class ${listed(empty)}: add some, or take the class away`,
    )
}
