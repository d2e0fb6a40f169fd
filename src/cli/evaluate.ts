import { z } from 'zod'
import { processor } from '#platform'
import {
  type ClipOptions,
  type ClipScorer,
  clipFigure,
  collectFeatures,
  collectPairs,
  distributionMetrics,
  type FeatureCollector,
  type FeatureSet,
  type Figure,
  measure,
  openClip,
  openExtractor,
  openPerceptual,
  type PairCollector,
  pairMetrics,
  readStatistics,
  writeStatistics,
} from '../metrics/index.js'
import { generateSettings } from '../pipelines/settings/index.js'
import { LatentkitError } from '../platform/errors.js'
import { openDevice } from '../runtime/index.js'
import { type Command, UsageError } from '../schema/index.js'
import { openReference, openSubject, type Reference, type Subject } from './evaluate-sources.js'
import { deviceFlags, file, several } from './flags.js'
import type { Io } from './io.js'

const metricNames = [...distributionMetrics, ...pairMetrics, 'clip-score'] as const
type Metric = (typeof metricNames)[number]

const { shape } = generateSettings
const count = z.int().positive()

export const evaluateCommand = {
  name: 'evaluate',
  summary: 'Measure how good pictures are, or a model, or a first stage',
  details:
    'Holds a folder of pictures, or those that a model makes of the captions and classes of REFERENCE, or those that a ' +
    'first stage brings back, against REFERENCE: a folder of pictures or statistics (.npz). Every figure names the network ' +
    'it was measured with. Published names (FID, KID, Inception score, LPIPS) are for the published networks alone, whose ' +
    'weights you give by --features and --lpips; without them the SqueezeNet that comes with latentkit measures, offline.',
  options: z.strictObject({
    subject: z.string().meta({ positional: true }).describe('a folder of pictures, or a checkpoint'),
    reference: z.string().optional().meta({ positional: true }).describe('a folder of pictures, or statistics (.npz)'),
    metric: z
      .array(z.enum(metricNames))
      .default([])
      .describe('what to measure (default what fits: distances of sets, of pairs for a first stage)'),
    features: file('weights of the feature network: Inception v3, VGG16, SqueezeNet 1.1 or CLIP as published'),
    resize: z
      .enum(['own', 'clean'])
      .default('own')
      .describe("resize pictures as the network's own tools do, or as clean-fid does"),
    lpips: several("LPIPS' network and its heads: give the flag twice, first the network"),
    clip: file('weights of a CLIP, for clip-score'),
    clipVocabulary: file('its merges.txt or bpe_simple_vocab_16e6.txt.gz'),
    clipActivation: z.enum(['quick_gelu', 'gelu']).default('quick_gelu').describe("gelu for OpenCLIP's own models"),
    firstStage: z.boolean().default(false).describe('judge the first stage of a whole model'),
    share: z
      .enum(['all', 'held-out', 'train'])
      .optional()
      .describe('which pictures of REFERENCE (default held-out for checkpoints, all for folders)'),
    samples: count.optional().describe('how many pictures (default as many as there are)'),
    size: count.optional().describe('bring pictures to squares of this size first'),
    save: file('keep the statistics of SUBJECT', 'FILE.npz'),
    seed: shape.seed.unwrap().default(0).describe('of the first picture, the next ones count on from it'),
    steps: shape.steps.unwrap().optional().describe(`${shape.steps.description} (default as generate)`),
    guidance: shape.guidance.unwrap().optional().describe(`${shape.guidance.description} (default as generate)`),
    sampler: shape.sampler.unwrap().optional().describe(`${shape.sampler.description} (default as generate)`),
    batch: count.default(8).describe('pictures that the feature network sees at once'),
    ...deviceFlags,
    json: z.boolean().default(false).describe('one JSON object for all figures'),
  }),
  examples: [
    { line: 'latentkit evaluate samples photos', what: 'two folders, by the bundled network' },
    {
      line: 'latentkit evaluate samples photos.npz --features pt_inception-2015-12-05-6726825d.pth --metric frechet',
      what: 'FID against statistics of pytorch-fid',
    },
    { line: 'latentkit evaluate model.safetensors photos --samples 500', what: 'pictures of the captions of photos' },
    { line: 'latentkit evaluate autoencoder.safetensors photos', what: 'a first stage: rFID or its like, PSNR, SSIM' },
  ],
} satisfies Command

type Flags = z.output<typeof evaluateCommand.options>

/** What was measured, of what. */
export interface Evaluation {
  readonly subject: string
  readonly kind: Subject['kind']
  readonly reference?: string
  readonly figures: readonly Figure[]
}

/** `latentkit evaluate`. */
export async function evaluate(flags: Flags, io: Io): Promise<Evaluation> {
  const threads = flags.threads ?? processor().threads
  await using device = await openDevice(flags.device, { threads })
  await using subject = await openSubject(flags.subject, {
    device,
    load: { device: flags.device, threads },
    firstStage: flags.firstStage,
    settings: settingsOf(flags),
    samples: flags.samples,
    size: flags.size,
    signal: io.signal,
  })
  const metrics = flags.metric.length > 0 ? flags.metric : usual(subject, flags)
  const wants = (names: readonly string[]) => metrics.some(metric => names.includes(metric))
  const reference = await referenceOf(subject, flags)
  await using extractor =
    wants(distributionMetrics) || flags.save !== undefined
      ? await openExtractor(device, { weights: flags.features, clean: flags.resize === 'clean' })
      : undefined
  await using perceptual = metrics.includes('perceptual') ? await openPerceptual(device, flags.lpips) : undefined
  await using clip = metrics.includes('clip-score') ? await openClip(device, clipFilesOf(flags)) : undefined
  const real =
    isStatistics(flags.reference) && extractor ? await readStatistics(flags.reference, extractor.network) : undefined

  const sets = await collect(subject, reference, {
    features: extractor && (() => collectFeatures(extractor, { batch: flags.batch })),
    needsReal: real === undefined && wants(comparing),
    pairs: wants(pairMetrics)
      ? collectPairs(
          pairMetrics.filter(metric => metrics.includes(metric)),
          perceptual,
        )
      : undefined,
    clip,
    io,
  })
  if (flags.save !== undefined) await writeStatistics(flags.save, sets.generated!)
  const known = distributionMetrics.filter(metric => metrics.includes(metric))
  const against = real ?? sets.real ?? sets.generated
  const prefix = subject.kind === 'first stage' ? 'r' : ''
  const figures = [...(known.length > 0 ? measure(sets.generated!, against!, known, { prefix }) : []), ...sets.figures]
  if (!flags.json) io.out(table(figures))
  return { subject: flags.subject, kind: subject.kind, ...(flags.reference && { reference: flags.reference }), figures }
}

const settingsOf = ({ seed, steps, guidance, sampler }: Flags) =>
  Object.fromEntries(Object.entries({ seed, steps, guidance, sampler }).filter(([, value]) => value !== undefined))

const isStatistics = (path: string | undefined): path is string => path?.endsWith('.npz') ?? false

async function referenceOf(
  subject: Subject,
  { reference, share, samples, size }: Flags,
): Promise<Reference | undefined> {
  if (reference === undefined || isStatistics(reference)) return undefined
  return openReference(reference, {
    share: share ?? (subject.kind === 'pictures' ? 'all' : 'held-out'),
    // A model is asked for as many pictures as are wanted, and they are held against all.
    samples: subject.kind === 'model' ? undefined : samples,
    size: size ?? subject.size,
  })
}

function clipFilesOf({ clip, clipVocabulary, clipActivation }: Flags): ClipOptions {
  if (clip === undefined) throw usage('--clip', 'missing; wanted the weights of a CLIP for clip-score')
  if (clipVocabulary === undefined) throw usage('--clip-vocabulary', 'missing; wanted the merges.txt of the CLIP')
  return { weights: clip, vocabulary: clipVocabulary, activation: clipActivation }
}

interface Collectors {
  /** Makes a collector of features, if any are wanted. */
  readonly features: (() => FeatureCollector) | undefined
  readonly needsReal: boolean
  readonly pairs: PairCollector | undefined
  readonly clip: ClipScorer | undefined
  readonly io: Io
}

interface Collected {
  readonly generated: FeatureSet | undefined
  readonly real: FeatureSet | undefined
  /** Of pairs and of sentences. */
  readonly figures: readonly Figure[]
}

/** Sends all pictures through all networks once, one after the other, so that none needs to be kept. */
async function collect(subject: Subject, reference: Reference | undefined, collectors: Collectors): Promise<Collected> {
  const { features, needsReal, pairs, clip, io } = collectors
  const [generated, real] = [features?.(), needsReal ? features?.() : undefined]
  const scores: number[] = []
  let done = 0
  let paired = 0
  const told = (what: string) => {
    io.signal.throwIfAborted()
    if (io.terminal) io.err(`\r\u001b[K${what}`)
  }
  // A first stage gives each picture of the reference with what it makes of it.
  const inPairs = subject.kind === 'first stage'
  for await (const { picture, original, caption } of subject.judged(reference)) {
    told(`${++done} pictures`)
    await generated?.add(picture)
    if (inPairs) await real?.add(original!)
    if (original && pairs) {
      await pairs.add(original, picture)
      paired++
    }
    if (clip && caption) scores.push(...(await clip.score([picture], [caption])))
  }
  if (reference && real && !inPairs) {
    for (const [i, index] of reference.indices.entries()) {
      told(`${i + 1} of ${reference.indices.length} pictures to hold against`)
      await real.add(await reference.picture(index))
    }
  }
  told('')
  if (pairs && paired === 0)
    throw new LatentkitError('evaluate: no two pictures of the folders have one name; pairs are told by names')
  if (clip && scores.length === 0)
    throw new LatentkitError('evaluate: no picture has a caption, which clip-score needs')
  return {
    generated: await generated?.done(),
    real: await real?.done(),
    figures: [...(pairs?.figures() ?? []), ...(clip ? [clipFigure(clip.label, scores)] : [])],
  }
}

/** Measures that hold a set against another. */
const comparing = ['frechet', 'kernel', 'precision-recall']

/** What is measured where nothing is asked for. */
function usual({ kind }: Subject, { reference, save }: Flags): Metric[] {
  if (reference === undefined) {
    if (save !== undefined) return []
    throw usage('REFERENCE', 'missing; wanted a folder of pictures or statistics (.npz), or a --metric that needs none')
  }
  if (kind === 'first stage') return ['frechet', 'psnr', 'ssim', 'perceptual']
  return reference.endsWith('.npz') ? ['frechet'] : ['frechet', 'kernel', 'precision-recall']
}

function table(figures: readonly Figure[]): string {
  const width = Math.max(...figures.map(({ name }) => name.length), 0)
  const line = ({ name, value, deviation, pictures, reference }: Figure) => {
    const number = `${value.toPrecision(5)}${deviation === undefined ? '' : ` ± ${deviation.toPrecision(2)}`}`
    const against = reference === undefined ? '' : ` against ${reference}`
    return `${name.padEnd(width)}  ${number.padEnd(18)} ${pictures} pictures${against}\n`
  }
  return figures.map(line).join('')
}

const usage = (path: string, message: string) => new UsageError('latentkit evaluate', [{ path, message }])
