// node bench/weights.js CASE FILE: random weights for the network of a case, in a process of its own, so that the one that
// is measured holds nothing of their making.
import { writeSafetensors } from '../dist/weights/safetensors.js'
import { networks } from './networks.js'

/** Numbers in [-1, 1), no tensor like another: the runtime keeps equal ones once (xorshift: Marsaglia 2003, p. 4). */
let state = 2463534242
function draw() {
  state ^= state << 13
  state ^= state >>> 17
  state ^= state << 5
  return state / 2 ** 31
}

function randomWeight(shape) {
  const size = shape.reduce((product, n) => product * n, 1)
  const scale = shape.length > 1 ? Math.sqrt(shape[0] / size) : 1
  const numbers = () => {
    const all = new Float32Array(size)
    for (let i = 0; i < size; i++) all[i] = scale * draw()
    return all
  }
  return { dtype: 'F32', shape, bytes: async () => new Uint8Array(numbers().buffer) }
}

const [spec, path] = [JSON.parse(process.argv[2]), process.argv[3]]
const { parameters } = networks[spec.kind](spec)
await writeSafetensors(path, new Map(parameters.map(({ name, shape }) => [name, randomWeight(shape)])))
