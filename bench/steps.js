// What a step of each kind of case is, on our side: a function that makes everything ready and gives the step.
import { execFile, execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { emitProgram } from '../dist/compiler/emit.js'
import { lower } from '../dist/compiler/lower.js'
import { conv2d } from '../dist/nn/conv.js'
import { openSqueezenet } from '../dist/perceptual/weights.js'
import { openSource } from '../dist/platform/node/index.js'
import { hostIntegers, hostTensor, openDevice } from '../dist/runtime/index.js'
import { sub } from '../dist/tensor/binary.js'
import { trace } from '../dist/tensor/program.js'
import { mean } from '../dist/tensor/reduce.js'
import { f32 } from '../dist/tensor/tensor.js'
import { square } from '../dist/tensor/unary.js'
import { diffusionProgram } from '../dist/train/diffusion/programs.js'
import { openFirstStageLearner } from '../dist/train/first-stage/learner.js'
import { openPerceptual } from '../dist/train/first-stage/perceptual-weights.js'
import { autoencoderProgram } from '../dist/train/first-stage/programs.js'
import { openLearner } from '../dist/train/learner.js'
import { attentionBlock } from '../dist/unet/attention-block.js'
import { residualBlock } from '../dist/unet/residual.js'
import { openSafetensors } from '../dist/weights/safetensors.js'
import { networks } from './networks.js'

const threads = 2
/** Small enough that a network stays where it began, however many steps are measured. */
const learningRate = 1e-5

/** Numbers in [-1, 1), the same in every run: a linear congruence, as C's. */
function numbers(size) {
  const block = Float32Array.from(
    { length: Math.min(size, 65521) },
    (_, i) => ((i * 1103515245 + 12345) % 4001) / 2000.5 - 1,
  )
  const all = new Float32Array(size)
  for (let at = 0; at < size; at += block.length) all.set(block.subarray(0, size - at), at)
  return all
}

const sizeOf = shape => shape.reduce((product, size) => product * size, 1)

/** Something for every input of a program; whole numbers are small enough for times and tokens. */
const inputsOf = ({ inputs }) =>
  Object.fromEntries(
    Object.entries(inputs).map(([name, { dtype, shape }]) => [
      name,
      dtype === 'i64'
        ? hostIntegers(
            Array.from({ length: sizeOf(shape) }, (_, i) => (i * 37) % 1000),
            shape,
          )
        : hostTensor(numbers(sizeOf(shape)), shape),
    ]),
  )

/** Nothing that is measured writes checkpoints. */
const nowhere = { path: '', info: { library: '', config: {} } }

/** A step of the trainers: gradients, clipping, AdamW and the running average. */
async function training(program, settings, frozen = new Map()) {
  const device = await openDevice('cpu', { threads })
  const learner = await openLearner({ device, program, frozen, settings, ...nowhere })
  const inputs = inputsOf(program)
  return async () => {
    await learner.accumulate(inputs, 1)
    await learner.update(learningRate)
  }
}

/** A call of a network, its weights in a file as a user has them. */
async function inference(spec, options = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'latentkit-bench-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'weights.safetensors')
  execFileSync(process.execPath, [fileURLToPath(new URL('weights.js', import.meta.url)), JSON.stringify(spec), path])
  const program = networks[spec.kind](spec)
  const device = await openDevice('cpu', { threads, ...options })
  const weights = await openSafetensors(await openSource(path))
  // What a prompt becomes is computed once for all steps.
  const run = await device.compile(program, { weights, steady: ['context'].filter(name => name in program.inputs) })
  await weights.close()
  const inputs = inputsOf(program)
  return () => run(inputs)
}

export const steps = {
  /** Three blocks behind a small convolution and before another, as in a network. */
  blocks({ batch, channels, size, attention, heads, training: settings }) {
    const image = f32(batch, 4, size, size)
    const program = trace({ x: image, emb: f32(batch, 4 * channels), target: image }, (at, { x, emb, target }) => {
      let h = conv2d(at('in'), x, { out: channels, kernel: 3 })
      for (let i = 0; i < 3; i++) {
        h = residualBlock(at(`block.${i}`), h, emb, { scaleShift: false })
        if (attention) h = attentionBlock(at(`attention.${i}`), h, { heads, newOrder: true })
      }
      return { loss: mean(square(sub(conv2d(at('out'), h, { out: 4, kernel: 3 }), target))) }
    })
    return training(program, settings)
  },

  diffusion: ({ model, batch, size, training: settings }) =>
    training(diffusionProgram(model, { batch, latents: [4, size, size] }, { type: 'l2' }), settings),

  async autoencoder({ recipe, batch, size, training: settings }) {
    const { tensors } = await openSqueezenet()
    const frozen = { get: name => tensors.get(name.replace(/^perceptual\./, '')) }
    return training(autoencoderProgram(recipe, batch, size, 'train'), settings, frozen)
  },

  /** The autoencoder's step, then the discriminator's on what it makes by then. */
  async adversarial({ recipe, batch, size }) {
    const device = await openDevice('cpu', { threads })
    const frozen = await openPerceptual(recipe.loss)
    const smaller = { ...recipe, crop: size, training: { ...recipe.training, batch } }
    const learner = await openFirstStageLearner({ device, recipe: smaller, frozen, ...nowhere })
    const images = hostTensor(numbers(batch * 3 * size * size), [batch, 3, size, size])
    return async () => {
      await learner.accumulate({ images }, 1)
      await learner.update(learningRate)
    }
  },

  unet: spec => inference(spec, { weightGrowth: spec.weightGrowth }),
  decoder: spec => inference(spec),

  emission: spec => () => {
    const program = networks.unet(spec)
    const lowered = lower(program, { device: 'cpu', training: false, contrib: true, largeWeights: true })
    const places = new Map(program.parameters.map(({ name, shape }) => [name, sizeOf(shape) * 4]))
    emitProgram(lowered, {
      unplanned: true,
      weights: name => ({ kind: 'external', file: 'weights.safetensors', offset: 0, length: places.get(name) }),
    })
  },

  async generate({ prompt }) {
    const command = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))
    const folder = await mkdtemp(join(tmpdir(), 'latentkit-bench-'))
    process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
    const run = promisify(execFile)
    return () =>
      run(process.execPath, [command, 'generate', prompt, '--steps', '20', '--out', join(folder, 'picture.png')])
  },
}
