/** A file with its weight behind a colon, `style.safetensors:0.7`; behind a drive's letter there is no number. */
export function weighed(text: string): { file: string; weight?: number } {
  const [, file, weight] = /^(.+):([+-]?(?:\d+\.?\d*|\.\d+))$/.exec(text) ?? []
  return file === undefined ? { file: text } : { file, weight: Number(weight) }
}
