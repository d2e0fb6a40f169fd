import type { TimedLevel } from '../diffusion/index.js'

/*
 * A sampler is one async generator in one file: the algorithm of one paper, in one of two coordinate systems.
 *
 * - Variance preserving: `sampler(predict, x, steps, options)`. x = alpha * image + sigma * noise, alpha^2 + sigma^2 = 1;
 *   sound where the signal is zero.
 * - Noise levels: `sampler(denoise, x, sigmas, options)`. x = image + sigma * noise.
 *
 * `x` is a whole batch, row-major; samplers work element by element and never look at its shape. They know nothing of
 * networks, parameterisations, guidance, progress or clocks. A new sampler is a new file and a line in `table.ts`.
 *
 * Their rooms: `timesteps/`, of the first kind, go down the timesteps of training; `distilled/`, too, jump to the image
 * and noise it again; `flow/` follow a rectified flow. Of the second kind, `single-step/` know only the step they are in
 * (Runge and Kutta's), `multistep/` remember predictions (Adams'). Beside them: what a network is to them (`model.ts`,
 * `preconditioning.ts`, `limits.ts`), the weights of exactly integrated steps (`exponential.ts`), and how other tools run
 * them (`profiles/`, and `diffusers/` by a scheduler's configuration).
 */

/** What a network says of a noised batch: the clean image and the noise that make it up. */
export interface Prediction {
  readonly x0: Float32Array
  readonly epsilon: Float32Array
}

/** Asks a network about a batch at a level. */
export type Predict = (x: Float32Array, at: TimedLevel) => Promise<Prediction>

/** The clean image that a batch at noise level sigma is expected to be. */
export type Denoise = (x: Float32Array, sigma: number) => Promise<Float32Array>

/**
 * Draws the next unit normals, as many as the batch has elements; whoever hands it in owns the generators. Samplers over
 * noise levels tell the levels between which it acts, for a noise that is a path over them.
 */
export type Noise = (from?: number, to?: number) => Float32Array

/** Changes the batch before each step, at the level where the network is then asked: how known parts are painted in. */
export type Before = (x: Float32Array, at: TimedLevel) => Float32Array

/** What every step yields: the batch after the step and the prediction it rests on (for previews). */
export interface SampleStep {
  readonly x: Float32Array
  readonly x0: Float32Array
}

/** A run of a sampler. */
export type Sampling = AsyncGenerator<SampleStep, void>
