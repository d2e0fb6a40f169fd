import type { Image } from '../../../image/index.js'

/** Paints what pictures are expected to become. */
export interface Previews extends AsyncDisposable {
  /** Pictures of latents [channels, height, width] each. */
  paint(latents: readonly Float32Array[]): Promise<Image[]>
}
