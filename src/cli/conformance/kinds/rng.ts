import { z } from 'zod'
import { mt19937, philox4x32, philoxGenerator, type TorchGenerator, torchGenerator } from '../../../random/index.js'
import type { Value } from '../compare.js'
import type { Answer, Kind, Tensors } from '../kind.js'
import { overrideOf } from '../tolerance.js'

const shape = z.array(z.number().int().nonnegative())
const torchCall = z.union([
  z.tuple([z.enum(['randn', 'randn64', 'rand', 'rand64']), shape]),
  z.tuple([z.literal('randint'), z.number(), z.number(), shape]),
  z.tuple([z.literal('randperm'), z.number()]),
  z.tuple([z.enum(['bernoulli', 'bernoulli_scalar', 'dropout']), z.number(), shape]),
  z.tuple([z.enum(['uniform', 'normal']), z.number(), z.number(), shape]),
])
type TorchCall = z.infer<typeof torchCall>
const torchConfig = z.object({ runs: z.array(z.object({ seed: z.number(), calls: z.array(torchCall) })) })

/** The calls of torch's CPU generator. */
export const torchRandom: Kind = {
  kind: 'rng',
  recognises: ({ objects, config }) =>
    objects.includes('torch.Generator (CPU)') && torchConfig.safeParse(config).success,
  async run(testCase): Promise<Answer> {
    const tensors = new Map<string, Value>()
    for (const [i, { seed, calls }] of torchConfig.parse(testCase.config).runs.entries()) {
      const generator = torchGenerator(seed)
      for (const [j, call] of calls.entries()) put(tensors, callName(i, j), draw(generator, call))
    }
    return { files: { [testCase.filesOf('expected')[0]!]: tensors } }
  },
  // The table's last line names calls ("randint, randperm, rand, bernoulli"), not tensors.
  tolerance({ config, tolerance }, _file, entry) {
    const [, run, call, part] = /^run(\d+)\.call(\d+)(\.sums)?/.exec(entry) ?? []
    const name = torchConfig.parse(config).runs[Number(run)]?.calls[Number(call)]?.[0]
    return name === undefined || part ? undefined : overrideOf(tolerance, name)
  },
}

function draw(g: TorchGenerator, call: TorchCall): Value {
  switch (call[0]) {
    case 'randn':
    case 'randn64':
    case 'rand':
    case 'rand64':
      return { shape: call[1], data: g[call[0]](size(call[1])) }
    case 'randint':
      return { shape: call[3], data: g.randint(call[1], call[2], size(call[3])) }
    case 'randperm':
      return { shape: [call[1]], data: g.randperm(call[1]) }
    case 'bernoulli':
    case 'dropout':
      return { shape: call[2], data: g[call[0]](call[1], size(call[2])) }
    case 'bernoulli_scalar':
      return { shape: call[2], data: g.bernoulliScalar(call[1], size(call[2])) }
    case 'uniform':
    case 'normal':
      return { shape: call[3], data: g[call[0]](call[1], call[2], size(call[3])) }
  }
}

const philoxConfig = z.object({ runs: z.array(z.object({ seed: z.number(), shapes: z.array(shape) })) })

/** Normals of a CUDA device. */
export const philoxRandom: Kind = {
  kind: 'rng',
  recognises: ({ source, config }) =>
    source.some(({ path }) => String(path).endsWith('rng_philox.py')) && philoxConfig.safeParse(config).success,
  async run(testCase) {
    const tensors = new Map<string, Value>()
    const words = []
    for (const [i, { seed, shapes }] of philoxConfig.parse(testCase.config).runs.entries()) {
      const generator = philoxGenerator(seed)
      for (const [j, dims] of shapes.entries()) {
        put(tensors, callName(i, j), { shape: dims, data: generator.randn(size(dims)) })
      }
      const bits = BigInt(seed)
      const key = [Number(bits & 0xffffffffn), Number(bits >> 32n)] as const
      for (const offset of [0, 1, 2]) {
        words.push({ seed, offset, words_of_element: [0, 1, 2, 3, 4, 5].map(i => philox4x32([offset, 0, i, 0], key)) })
      }
    }
    const [json, values] = split(testCase.filesOf('expected'))
    return { files: { ...(json && { [json]: words }), ...(values && { [values]: tensors }) } }
  },
}

const wordsConfig = z.object({ seeds: z.array(z.number()), count: z.number() })

/** Raw words of MT19937. */
export const rawWords: Kind = {
  kind: 'rng',
  recognises: ({ objects, config }) => objects.includes('RandomState') && wordsConfig.safeParse(config).success,
  async run(testCase) {
    const { seeds, count } = wordsConfig.parse(testCase.config)
    const lists = seeds.map(seed => {
      const { next } = mt19937(seed)
      return { seed, words: Array.from({ length: count }, next) }
    })
    return { files: { [testCase.filesOf('expected')[0]!]: lists } }
  },
}

function split(files: string[]): [json: string | undefined, tensors: string | undefined] {
  return [files.find(f => f.endsWith('.json')), files.find(f => f.endsWith('.safetensors'))]
}

const size = (dims: readonly number[]) => dims.reduce((a, b) => a * b, 1)
const two = (i: number) => String(i).padStart(2, '0')
const callName = (run: number, call: number) => `run${two(run)}.call${two(call)}`

/** Results of more than 2048 elements are told by their ends and three sums in float64. */
function put(tensors: Map<string, Value> & Tensors, name: string, value: Value): void {
  const { data } = value
  if (data.length <= 2048) {
    tensors.set(name, value)
    return
  }
  const all = Array.from(data, Number)
  const sums = [0, 0, 0]
  all.forEach((v, i) => {
    sums[0]! += v
    sums[1]! += v * v
    sums[2]! += v * ((i % 7) - 3)
  })
  tensors.set(`${name}.first64`, { shape: [64], data: all.slice(0, 64) })
  tensors.set(`${name}.last64`, { shape: [64], data: all.slice(-64) })
  tensors.set(`${name}.sums`, { shape: [3], data: sums })
}
