import type { Shape } from '../../tensor/shape.js'

/**
 * Whether images of so few channels and so many pixels a side stay as the runtime's own convolution has them: products of
 * tiles are too thin to pay for making the tiles, and turning the images costs as much as convolving them.
 */
export const isThinAndLong = (channels: number, size: Shape): boolean => channels < thin && Math.max(...size) >= long

const thin = 96
const long = 64
