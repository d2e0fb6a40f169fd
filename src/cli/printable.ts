/** Text from a file, without what would steer the terminal; lines stay lines. */
export const printable = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, '\ufffd')
