/** Mean and deviation of ImageNet's pixels in [0, 1], with which its networks were trained, written for pixels in [-1, 1]. */
export const PIXEL_MEAN: readonly number[] = [0.485, 0.456, 0.406].map(x => 2 * x - 1)
export const PIXEL_DEVIATION: readonly number[] = [0.229, 0.224, 0.225].map(x => 2 * x)
