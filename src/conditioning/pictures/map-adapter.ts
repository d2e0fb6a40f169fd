import { z } from 'zod'
import { edges } from '../../image/index.js'
import { mul } from '../../tensor/binary.js'
import { reshape } from '../../tensor/reshape.js'
import { slice } from '../../tensor/slice.js'
import { f32, type Tensor } from '../../tensor/tensor.js'
import { addAll } from '../../tensor/unary.js'
import type { Conditioning, Numbers } from '../contract.js'
import { hintPixels, hintsField, hintsOf } from './hints.js'
import { mapAdapter, mapAdapterConfig } from './map-adapter-network.js'

const config = z.strictObject({
  adapters: z
    .array(z.strictObject({ ...mapAdapterConfig.shape, weight: z.number().describe('how much it counts') }))
    .min(1)
    .max(16),
})

/** The adapter's input that a map is handed in as. */
const inputName = (i: number) => `map_${i}`

/** Maps for T2I-adapters, whose features are added to the UNet's own on the way down. Source: Mou et al. 2023. */
export const mapAdapters = {
  what: 'maps for T2I-adapters',
  config,
  sees: ['pixels'],
  request: {
    t2i: hintsField('the map that each T2I-adapter follows, such as a sketch; several with commas between'),
  },
  reach: () => ({}),
  inputs: ({ adapters }, { width, height }) => ({
    ...Object.fromEntries(adapters.map(({ pixel_channels }, i) => [inputName(i), f32(pixel_channels, height, width)])),
    map_weights: f32(adapters.length),
  }),
  embed(at, { adapters }, inputs, { place }) {
    const factor = place.height / place.latents[1]
    const each = adapters.map((adapter, i) => {
      const weight = slice(inputs.map_weights!, { axis: 1, start: i, end: i + 1 })
      const scaled = (feature: Tensor) => mul(feature, reshape(weight, [weight.shape[0]!, 1, 1, 1]))
      return mapAdapter(at(String(i)), adapter, inputs[inputName(i)]!, factor).map(scaled)
    })
    return Object.fromEntries(
      each[0]!.map((_, level) => [`feature_${level}`, addAll(each.map(features => features[level]!))]),
    )
  },
  reader({ adapters }) {
    const numbers = (pixels: (i: number) => Float32Array): Numbers => ({
      ...Object.fromEntries(adapters.map((_, i) => [inputName(i), pixels(i)])),
      map_weights: adapters.map(({ weight }) => weight),
    })
    return {
      async ofRecord({ pixels }, { width, height }) {
        const lines = edges(await pixels(), width, height)
        return numbers(i =>
          Float32Array.from(
            Array(adapters[i]!.pixel_channels)
              .fill([...lines])
              .flat(),
          ),
        )
      },
      ofRequest(request, place) {
        const pictures = hintsOf(request, 't2i', { count: adapters.length, of: 'T2I-adapters' })
        const positive = numbers(i => {
          const pixels = hintPixels(pictures[i]!, place)
          return adapters[i]!.pixel_channels === 3 ? pixels : grey(pixels)
        })
        return { positive }
      },
    }
  },
} satisfies Conditioning<z.output<typeof config>>

/** The brightness of [3, height, width], as Pillow's conversion to L weighs colours. */
function grey(pixels: Float32Array): Float32Array {
  const area = pixels.length / 3
  return Float32Array.from({ length: area }, (_, i) => {
    return 0.299 * pixels[i]! + 0.587 * pixels[area + i]! + 0.114 * pixels[2 * area + i]!
  })
}
