import { combine, sampleDeviation } from '../diffusion/index.js'

/**
 * Classifier-free guidance of raw predictions (Ho & Salimans 2022, eq. 6), with the scale counted from the unconditional
 * one: 0 is unconditional, 1 conditional, more leads further away from the unconditional prediction.
 */
export function guide(conditional: Float32Array, unconditional: Float32Array, scale: number): Float32Array {
  return combine(scale, conditional, 1 - scale, unconditional)
}

/** Raw predictions for one batch under more and more of its conditions, and how far each of them leads. */
export interface TwoConditions {
  readonly unconditional: Float32Array
  /** With the image to edit, without a text. */
  readonly image: Float32Array
  /** With the image and the text. */
  readonly both: Float32Array
  readonly imageScale: number
  readonly textScale: number
}

/** Classifier-free guidance by an image and a text (Brooks et al. 2023, InstructPix2Pix, eq. 3). */
export function guideByTwo({ unconditional, image, both, imageScale, textScale }: TwoConditions): Float32Array {
  return combine(textScale, both, 1, combine(imageScale - textScale, image, 1 - imageScale, unconditional))
}

/**
 * Brings each image of a guided batch back to the conditional prediction's deviation, by the share `phi`: strong guidance
 * overexposes. Source: Lin et al. 2024, "Common diffusion noise schedules and sample steps are flawed", eq. 15 and 16.
 */
export function rescaleGuided(
  guided: Float32Array,
  conditional: Float32Array,
  { phi, images }: { phi: number; images: number },
): Float32Array {
  const size = guided.length / images
  const out = new Float32Array(guided.length)
  for (let start = 0; start < out.length; start += size) {
    const image = guided.subarray(start, start + size)
    const ratio = sampleDeviation(conditional.subarray(start, start + size)) / sampleDeviation(image)
    for (let i = 0; i < size; i++) out[start + i] = image[i]! * (phi * ratio + 1 - phi)
  }
  return out
}
