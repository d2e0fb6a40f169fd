// The programs of the networks whose calls are measured.
import { decode } from '../dist/autoencoder/autoencoder.js'
import { trace } from '../dist/tensor/program.js'
import { f32, i64 } from '../dist/tensor/tensor.js'
import { unet } from '../dist/unet/unet.js'

export const networks = {
  unet({ config, batch, size, tokens }) {
    const specs = {
      x: f32(batch, config.in_channels, size, size),
      t: i64(batch),
      ...(config.context_dim && { context: f32(batch, tokens, config.context_dim) }),
    }
    return trace(specs, (at, inputs) => unet(at, config, inputs))
  },

  decoder: ({ config, batch, size }) =>
    trace({ z: f32(batch, config.embed_dim, size, size) }, (at, { z }) => decode(at, config, z)),
}
