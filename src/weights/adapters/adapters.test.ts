import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { before, test } from 'node:test'
import { FileError } from '../../platform/errors.js'
import { trace } from '../../tensor/program.js'
import { f32, i64 } from '../../tensor/tensor.js'
import { stableDiffusionUnet } from '../../testing/stable-diffusion.js'
import { drawing } from '../../testing/values.js'
import { clipText, clipTextConfig } from '../../text/encoder-clip.js'
import { unet } from '../../unet/unet.js'
import { fromFloat32, type TensorData, toFloat32 } from '../dtypes.js'
import { encodeSafetensors } from '../safetensors.js'
import { openAdapter } from './adapter.js'
import { adaptedWeights } from './merge.js'
import { type ModuleNames, moduleNames, weightsByName } from './names.js'
import { adapterTensors } from './write.js'

let shapes: Map<string, readonly number[]>
let modules: Map<string, ModuleNames>
before(() => {
  const text = clipTextConfig.parse({
    vocab_size: 49408,
    hidden_size: 768,
    intermediate_size: 3072,
    num_hidden_layers: 12,
    num_attention_heads: 12,
  })
  const { parameters } = trace({ x: f32(1, 4, 8, 8), t: i64(1), c: f32(1, 4, 768), ids: i64(1, 8) }, (at, inputs) => ({
    unet: unet(at('model.diffusion_model'), stableDiffusionUnet, { x: inputs.x, t: inputs.t, context: inputs.c }),
    text: clipText(at('cond_stage_model.transformer'), text, inputs.ids).last,
  }))
  shapes = new Map(parameters.map(({ name, shape }) => [name, shape]))
  modules = moduleNames(shapes.keys(), stableDiffusionUnet)
})

const open = (tensors: ReadonlyMap<string, TensorData>, metadata?: ReadonlyMap<string, string>) =>
  openAdapter(encodeSafetensors(tensors, metadata))
const drawn = (seed: number, ...shape: number[]): TensorData =>
  fromFloat32(Float32Array.from(drawing(seed).normal(...shape).data), shape)

test('every layer of Stable Diffusion 1.5 has names in the other tools, and every name leads back', () => {
  const weights = [...shapes.keys()].filter(name => name.endsWith('.weight'))
  assert.deepEqual([...modules.keys()], weights)
  const back = weightsByName(modules)
  for (const weight of weights) {
    const { compvis, diffusers, kohya } = modules.get(weight)!
    assert.deepEqual(
      [compvis, diffusers, kohya].map(name => back.get(name)),
      [weight, weight, weight],
    )
    assert.equal(
      back.get(`lora_unet_${compvis.slice('model.diffusion_model.'.length)}`.replaceAll('.', '_')) ?? weight,
      weight,
    )
  }
  assert.deepEqual(modules.get('model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_out.0.weight'), {
    compvis: 'model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_out.0',
    diffusers: 'unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0',
    kohya: 'lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_out_0',
  })
  assert.equal(
    modules.get('cond_stage_model.transformer.text_model.encoder.layers.3.mlp.fc1.weight')!.kohya,
    'lora_te_text_model_encoder_layers_3_mlp_fc1',
  )
})

test('numbered layers, as cloneofsimo/lora writes them, are those of their shapes in two real files', async () => {
  const file = new URL('../../../fixtures/weights/adapters/cloneofsimo.json', import.meta.url)
  interface Layout {
    metadata: Record<string, string>
    dtype: 'F16' | 'F32'
    rank: number
    unet: [number, number][]
    text_encoder: [number, number][]
    words: Record<string, number[]>
  }
  const layouts = Object.values(JSON.parse(await readFile(file, 'utf8')) as Record<string, Layout>)
  assert.equal(layouts.length, 2)
  for (const { metadata, dtype, rank, words, ...counted } of layouts) {
    const zeros = (...shape: number[]) => fromFloat32(new Float32Array(shape.reduce((a, b) => a * b)), shape, dtype)
    const tensors = new Map(Object.entries(words).map(([word, shape]) => [word, zeros(...shape)]))
    for (const name of ['unet', 'text_encoder'] as const) {
      for (const [i, [out, width]] of counted[name].entries()) {
        tensors.set(`${name}:${i}:up`, zeros(out, rank)).set(`${name}:${i}:down`, zeros(rank, width))
      }
    }
    const adapter = await open(tensors, new Map(Object.entries(metadata)))
    assert.deepEqual([...adapter.words.keys()], Object.keys(words))
    const found = weightsByName(modules)
    const placed = new Set<string>()
    for (const module of adapter.modules.keys()) {
      const [network, index] = module.split(':') as ['unet', string]
      assert.deepEqual(shapes.get(found.get(module)!), counted[network][Number(index)])
      placed.add(found.get(module)!)
    }
    assert.equal(placed.size, 192, 'no two numbers mean one layer')
  }
  assert.match(weightsByName(modules).get('unet:4')!, /input_blocks\.1\.1\..*ff\.net\.0\.proj/)
})

const query = 'model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight'
const conv = 'model.diffusion_model.input_blocks.1.0.in_layers.2.weight'
const names = {
  query: 'unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q',
  conv: 'unet.down_blocks.0.resnets.0.conv1',
}
const weights = new Map([
  [query, drawn(1, 6, 4)],
  [conv, drawn(2, 4, 6, 2, 2)],
])
const small = { name: 'model', tensors: weights, read: async (name: string) => weights.get(name)! }

async function merged(parts: Record<string, TensorData>, name = query, weight = 1): Promise<number[]> {
  const adapter = await open(new Map(Object.entries(parts)))
  const named = moduleNames(weights.keys(), stableDiffusionUnet)
  return [...toFloat32(await adaptedWeights(small, named, [{ adapter, weight }]).read(name))]
}
const base = (name: string) => [...toFloat32(weights.get(name)!)]
function close(ours: readonly number[], wanted: (i: number) => number): void {
  for (const [i, v] of ours.entries()) assert.ok(Math.abs(v - wanted(i)) < 1e-5, `${i}: ${v}, wanted ${wanted(i)}`)
}
const numbers = (t: TensorData) => toFloat32(t)

test('a LoRA is the same change by every tool’s names', async () => {
  const [down, up] = [drawn(3, 2, 4), drawn(4, 6, 2)]
  const [d, u] = [numbers(down), numbers(up)]
  const delta = (i: number) => {
    const [row, column] = [Math.floor(i / 4), i % 4]
    return u[2 * row]! * d[column]! + u[2 * row + 1]! * d[4 + column]!
  }
  const kohya = `lora_${names.query.replaceAll('.', '_')}`
  const processor = names.query.slice('unet.'.length).replace('.to_q', '.processor.to_q_lora')
  for (const [a, b] of [
    [`${names.query}.lora_A.weight`, `${names.query}.lora_B.weight`],
    [`${names.query}.lora.down.weight`, `${names.query}.lora.up.weight`],
    [`unet.${processor}.down.weight`, `unet.${processor}.up.weight`],
    [`${processor}.down.weight`, `${processor}.up.weight`],
    [`${kohya}.lora_down.weight`, `${kohya}.lora_up.weight`],
    ['unet:0:down', 'unet:0:up'],
    [
      `base_model.model.${names.query.slice(5)}.lora_A.weight`,
      `base_model.model.${names.query.slice(5)}.lora_B.weight`,
    ],
    [
      `${kohya.replace('lora_unet_', 'lycoris_')}.lora_down.weight`,
      `${kohya.replace('lora_unet_', 'lycoris_')}.lora_up.weight`,
    ],
    [`${query.slice('model.'.length, -7)}.lora_down.weight`, `${query.slice('model.'.length, -7)}.lora_up.weight`],
    [`${query.slice(0, -7)}.lora_down.weight`, `${query.slice(0, -7)}.lora_up.weight`],
  ] as const) {
    close(await merged({ [a]: down, [b]: up }, query, 0.5), i => base(query)[i]! + 0.5 * delta(i))
  }
  const scaled = {
    [`${kohya}.lora_down.weight`]: down,
    [`${kohya}.lora_up.weight`]: up,
    [`${kohya}.alpha`]: fromFloat32(Float32Array.of(1), []),
  }
  close(await merged(scaled, query, -1), i => base(query)[i]! - delta(i) / 2)
  assert.deepEqual(await merged(scaled, conv), base(conv), 'what is not adapted is read as it is')
})

test('LoHa, LoKr, a core between the factors and lengths of outputs and inputs are what LyCORIS computes', async () => {
  const at = (part: string) => `${names.query}.${part}`
  const [w1a, w1b, w2a, w2b] = [drawn(3, 6, 2), drawn(4, 2, 4), drawn(5, 6, 2), drawn(6, 2, 4)]
  const low = (a: TensorData, b: TensorData, i: number) =>
    [0, 1].reduce((sum, r) => sum + numbers(a)[Math.floor(i / 4) * 2 + r]! * numbers(b)[4 * r + (i % 4)]!, 0)
  const loha = { [at('hada_w1_a')]: w1a, [at('hada_w1_b')]: w1b, [at('hada_w2_a')]: w2a, [at('hada_w2_b')]: w2b }
  close(
    await merged({ ...loha, [at('alpha')]: fromFloat32(Float32Array.of(4), []) }),
    i => base(query)[i]! + 2 * low(w1a, w1b, i) * low(w2a, w2b, i),
  )

  const [small1, large] = [drawn(7, 3, 2), drawn(8, 2, 2)]
  const kron = (i: number) => {
    const [row, column] = [Math.floor(i / 4), i % 4]
    return (
      numbers(small1)[Math.floor(row / 2) * 2 + Math.floor(column / 2)]! * numbers(large)[(row % 2) * 2 + (column % 2)]!
    )
  }
  close(
    await merged({ [at('lokr_w1')]: small1, [at('lokr_w2')]: large, [at('alpha')]: drawn(1, 1) }),
    i => base(query)[i]! + kron(i),
  )

  const [down, mid, up] = [drawn(3, 2, 6, 1, 1), drawn(4, 3, 2, 2, 2), drawn(5, 4, 3, 1, 1)]
  const core = (i: number) => {
    const [o, n, k] = [Math.floor(i / 24), Math.floor((i % 24) / 4), i % 4]
    let sum = 0
    for (let p = 0; p < 3; p++)
      for (let q = 0; q < 2; q++)
        sum += numbers(up)[o * 3 + p]! * numbers(mid)[(p * 2 + q) * 4 + k]! * numbers(down)[q * 6 + n]!
    return sum
  }
  const conved = {
    [`${names.conv}.lora_up.weight`]: up,
    [`${names.conv}.lora_mid.weight`]: mid,
    [`${names.conv}.lora_down.weight`]: down,
  }
  close(await merged(conved, conv), i => base(conv)[i]! + core(i))

  const lora = { [at('lora_A.weight')]: drawn(3, 2, 4), [at('lora_B.weight')]: w1a }
  const moved = base(query).map((w, i) => w + low(w1a, lora[at('lora_A.weight')]!, i))
  const length = (line: readonly number[]) => Math.hypot(...line)
  const rows = drawn(9, 6, 1)
  const byRow = (i: number) =>
    (moved[i]! * numbers(rows)[Math.floor(i / 4)]!) / length(moved.slice(i - (i % 4), i - (i % 4) + 4))
  close(await merged({ ...lora, [at('dora_scale')]: rows }), byRow)
  const magnitude = { ...lora, [at('lora_magnitude_vector')]: { ...rows, shape: [6] } }
  close(await merged(magnitude, query, 0.25), i => base(query)[i]! + 0.25 * (byRow(i) - base(query)[i]!))
  const columns = drawn(9, 1, 4)
  close(
    await merged({ ...lora, [at('dora_scale')]: columns }),
    i => (moved[i]! * numbers(columns)[i % 4]!) / length(moved.filter((_, j) => j % 4 === i % 4)),
  )
})

test('(IA)3, changes of whole weights and a scalar are what LyCORIS computes', async () => {
  const at = (part: string, module = names.query) => `${module}.${part}`
  const flag = (value: number) => fromFloat32(Float32Array.of(value), [])
  const [rows, columns] = [drawn(3, 6), drawn(4, 4)]
  const outputs = { [at('weight')]: rows, [at('on_input')]: flag(0) }
  close(await merged(outputs, query, 0.5), i => base(query)[i]! * (1 + 0.5 * numbers(rows)[Math.floor(i / 4)]!))
  const inputs = { [at('weight')]: columns, [at('on_input')]: flag(1) }
  close(await merged(inputs), i => base(query)[i]! * (1 + numbers(columns)[i % 4]!))
  const kernels = { [at('weight', names.conv)]: drawn(3, 4, 1, 1, 1), [at('on_input', names.conv)]: flag(0) }
  close(await merged(kernels, conv), i => base(conv)[i]! * (1 + numbers(drawn(3, 4))[Math.floor(i / 24)]!))

  const diff = drawn(5, 6, 4)
  close(await merged({ [at('diff')]: diff }, query, 2), i => base(query)[i]! + 2 * numbers(diff)[i]!)
  const lora = { [at('lora_A.weight')]: drawn(3, 2, 4), [at('lora_B.weight')]: drawn(4, 6, 2) }
  const plain = await merged(lora)
  const change = (i: number) => plain[i]! - base(query)[i]!
  close(await merged({ ...lora, [at('scalar')]: flag(3) }), i => base(query)[i]! + 3 * change(i))
  close(await merged({ ...lora, [at('scale')]: flag(3), [at('alpha')]: flag(9) }), i => base(query)[i]! + 3 * change(i))

  const norm = 'model.diffusion_model.input_blocks.1.0.in_layers.0'
  const model = new Map([
    [`${norm}.weight`, drawn(1, 32)],
    [`${norm}.bias`, drawn(2, 32)],
  ])
  const adapter = await open(
    new Map([
      ['lora_unet_down_blocks_0_resnets_0_norm1.w_norm', drawn(3, 32)],
      ['lora_unet_down_blocks_0_resnets_0_norm1.b_norm', drawn(4, 32)],
    ]),
  )
  const file = { name: 'model', tensors: model, read: async (name: string) => model.get(name)! }
  const changed = adaptedWeights(file, moduleNames(model.keys(), stableDiffusionUnet), [{ adapter, weight: 0.5 }])
  for (const [part, seed] of [
    ['weight', 3],
    ['bias', 4],
  ] as const) {
    const name = `${norm}.${part}`
    close([...numbers(await changed.read(name))], i => numbers(model.get(name)!)[i]! + numbers(drawn(seed, 32))[i]! / 2)
  }
  await assert.rejects(
    merged({ ...lora, [at('diff_b')]: drawn(1, 6) }),
    /it changes ".*to_q\.bias", which model has not/,
  )
})

test('a scale that the file says once for all is that of PEFT', async () => {
  const lora = new Map([
    [`${names.query}.lora_A.weight`, drawn(3, 2, 4)],
    [`${names.query}.lora_B.weight`, drawn(4, 6, 2)],
  ])
  const named = moduleNames(weights.keys(), stableDiffusionUnet)
  const scaled = async (settings: object | string | undefined) => {
    const text = typeof settings === 'string' ? settings : JSON.stringify(settings)
    const metadata = new Map(settings === undefined ? [] : [['lora_adapter_metadata', text]])
    const adapter = await open(lora, metadata)
    return [...numbers(await adaptedWeights(small, named, [{ adapter, weight: 1 }]).read(query))]
  }
  const plain = await scaled(undefined)
  const holds = async (settings: object, by: number) =>
    close(await scaled(settings), i => base(query)[i]! + by * (plain[i]! - base(query)[i]!))
  await holds({ 'unet.lora_alpha': 8, 'unet.r': 2 }, 4)
  await holds({ 'unet.lora_alpha': 8, 'unet.use_rslora': true }, 8 / Math.sqrt(2))
  await holds({ 'unet.lora_alpha': 8, 'unet.alpha_pattern': { 'attn1.to_q': 1 } }, 0.5)
  await holds({ 'text_encoder.lora_alpha': 8 }, 1)
  await assert.rejects(scaled('{'), /lora_adapter_metadata is no JSON object/)
})

test('adapters stack in their order, each by its weight', async () => {
  const one = (seed: number) =>
    open(
      new Map([
        ['unet:0:down', drawn(seed, 1, 4)],
        ['unet:0:up', drawn(seed + 1, 6, 1)],
      ]),
    )
  const [first, second] = [await one(3), await one(5)]
  const named = moduleNames(weights.keys(), stableDiffusionUnet)
  const stack = (...list: Parameters<typeof adaptedWeights>[2]) => adaptedWeights(small, named, list).read(query)
  const [both, a, b] = await Promise.all([
    stack({ adapter: first, weight: 0.5 }, { adapter: second, weight: 2 }),
    stack({ adapter: first, weight: 0.5 }),
    stack({ adapter: second, weight: 2 }),
  ])
  const [x, y] = [numbers(a!), numbers(b!)]
  close([...numbers(both!)], i => x[i]! + y[i]! - base(query)[i]!)
})

test('what is written in each layout is read as the same change', async () => {
  const layer = (magnitude?: Float32Array) => {
    const [down, up] = [drawing(3).normal(2, 4), drawing(4).normal(6, 2)]
    const hosted = ({ data, shape }: typeof down) => ({ shape, data: Float32Array.from(data) })
    return new Map([[query, { down: hosted(down), up: hosted(up), alpha: 1, magnitude }]])
  }
  const named = moduleNames(weights.keys(), stableDiffusionUnet)
  for (const magnitude of [undefined, Float32Array.of(1, 2, 3, 4, 5, 6)]) {
    const [kohya, diffusers] = await Promise.all(
      (['kohya', 'diffusers'] as const).map(layout =>
        merged(Object.fromEntries(adapterTensors(layer(magnitude), named, layout)) as Record<string, TensorData>),
      ),
    )
    close(kohya!, i => diffusers![i]!)
    assert.notDeepEqual(kohya, base(query))
  }
})

test('files that are no adapters, of another model, or whose parts do not fit are refused by name', async () => {
  const refused = (run: () => Promise<unknown>, reason: RegExp) =>
    assert.rejects(run, (error: Error) => error instanceof FileError && reason.test(error.message))
  await refused(
    () => open(new Map([['model.weight', drawn(1, 2)]])),
    /"model.weight" \[2\], which is no part of a LoRA/,
  )
  await refused(() => merged({ 'unet.nowhere.lora_A.weight': drawn(1, 2, 4) }), /another model.*"unet.nowhere"/)
  const part = (name: string) => `${names.query}.${name}`
  await refused(() => merged({ [part('lora_A.weight')]: drawn(1, 2, 4) }), /do not make a change of the shape \[6,4\]/)
  const wrong = { [part('lora_A.weight')]: drawn(1, 2, 4), [part('lora_B.weight')]: drawn(1, 6, 3) }
  await refused(() => merged(wrong), /do not make a change/)
  const turned = { [part('lora_A.weight')]: drawn(1, 2, 6), [part('lora_B.weight')]: drawn(1, 4, 2) }
  await refused(() => merged(turned), /do not make a change/)
  const huge = { [part('lora_A.weight')]: drawn(1, 1, 40_000), [part('lora_B.weight')]: drawn(1, 40_000, 1) }
  await refused(() => merged(huge), /do not make a change/)
  const long = {
    [part('lora_A.weight')]: drawn(1, 2, 4),
    [part('lora_B.weight')]: drawn(1, 6, 2),
    [part('dora_scale')]: drawn(1, 5),
  }
  await refused(() => merged(long), /magnitudes for .* are 5, wanted/)
})
