import { decodeHTML, decodeHTMLStrict } from 'entities'

/**
 * Text as openai/CLIP cleans it before it counts tokens (simple_tokenizer.py, basic_clean): broken encodings repaired,
 * look-alike forms made plain, HTML entities resolved twice, outer white space removed.
 *
 * The repairs are those that ftfy's fix_text makes by default. Which text is broken is judged by rules of our own,
 * narrower than ftfy's: UTF-8 that was read as Windows-1252 is repaired, other confusions of encodings are left alone.
 * @example cleanText('schÃ¶n â€œquotedâ€\x9d &amp;amp; ﬁne') // 'schön "quoted" & fine'
 */
export function cleanText(text: string): string {
  return decodeHTML(decodeHTML(repaired(text))).replace(/^\p{White_Space}+|\p{White_Space}+$/gu, '')
}

/** One repair may bring another to light (mojibake of mojibake); eight rounds are more than text from people needs. */
function repaired(text: string): string {
  let now = text
  for (let round = 0; round < 8; round++) {
    const before = now
    now = once(before)
    if (now === before) break
  }
  return now
}

const LIGATURES: Record<string, string> = {
  Ĳ: 'IJ',
  ĳ: 'ij',
  ŉ: 'ʼn',
  Ǆ: 'DŽ',
  ǅ: 'Dž',
  ǆ: 'dž',
  Ǉ: 'LJ',
  ǈ: 'Lj',
  ǉ: 'lj',
  Ǌ: 'NJ',
  ǋ: 'Nj',
  ǌ: 'nj',
  Ǳ: 'DZ',
  ǲ: 'Dz',
  ǳ: 'dz',
  ﬀ: 'ff',
  ﬁ: 'fi',
  ﬂ: 'fl',
  ﬃ: 'ffi',
  ﬄ: 'ffl',
  ﬅ: 'ſt',
  ﬆ: 'st',
}

const TERMINAL_ESCAPE = new RegExp(`${String.fromCharCode(27)}\\[[\\d;]*[a-zA-Z]`, 'g')

function once(text: string): string {
  // With a tag in it the text is a piece of HTML, whose entities are part of its meaning.
  const plain = text.includes('<') ? text : decodeHTMLStrict(text)
  return (
    withoutMojibake(plain.replace(TERMINAL_ESCAPE, ''))
      .replace(/[\x80-\x9f]/g, char => WINDOWS_1252[char.charCodeAt(0) - 0x80]!)
      .replace(/[ĲĳŉǄ-ǌǱ-ǳﬀ-ﬆ]/g, char => LIGATURES[char]!)
      // Full- and half-width forms, and the ideographic space.
      .replace(/[\u3000\uff01-\uffef]/g, char => char.normalize('NFKC'))
      .replace(/[\u02bc\u2018-\u201b]/g, "'")
      .replace(/[\u201c-\u201f]/g, '"')
      .replace(/\r\n|[\r\u2028\u2029\x85]/g, '\n')
      // Control characters without a meaning in text, byte order and annotation marks.
      .replace(/(?![\t\n\f\r\x80-\x9f])\p{Cc}|[\u206a-\u206f\ufeff\ufff9-\ufffc]/gu, '')
      .normalize('NFC')
  )
}

/**
 * The characters of the bytes 128 to 159; the five that Windows leaves open stay control characters. Spelled out because
 * Node 20's TextDecoder takes Windows-1252 for Latin-1.
 */
const WINDOWS_1252 = [...'€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ']

const BYTES = new Map([
  ...Array.from({ length: 32 }, (_, i) => [String.fromCharCode(0x80 + i), 0x80 + i] as const),
  ...WINDOWS_1252.map((char, i) => [char, 0x80 + i] as const),
  ...Array.from({ length: 96 }, (_, i) => [String.fromCharCode(0xa0 + i), 0xa0 + i] as const),
])

const utf8 = new TextDecoder()

/** Replaces each run of characters that, as Windows-1252 bytes, are the UTF-8 of one character. */
function withoutMojibake(text: string): string {
  let out = ''
  for (let i = 0; i < text.length; ) {
    const length = BYTES.has(text[i]!) ? misreadLength(text, i) : 0
    if (length === 0) {
      out += text[i++]
      continue
    }
    const bytes = Array.from(text.slice(i, i + length), char => BYTES.get(char)!)
    const decoded = utf8.decode(Uint8Array.from(bytes))
    // Overlong forms and surrogates are no UTF-8 and so were no mistake either.
    out += decoded.includes('\ufffd') ? text.slice(i, i + length) : decoded
    i += length
  }
  return out
}

/** How many characters from `start` on are one misread character, 0 if none. */
function misreadLength(text: string, start: number): number {
  const lead = BYTES.get(text[start]!)!
  const length =
    lead >= 0xc2 && lead <= 0xdf ? 2 : lead >= 0xe1 && lead <= 0xef ? 3 : lead >= 0xf0 && lead <= 0xf4 ? 4 : 0
  for (let i = 1; i < length; i++) {
    const byte = BYTES.get(text[start + i] ?? '')
    if (byte === undefined || byte > 0xbf) return 0
  }
  // What people write looks like this too: `fiancé…”`, `“BLÅ”`. Â and Ã (Latin-1) and â (punctuation) before such a
  // character are seldom meant; any other lead counts only where no letter goes before it, and only in scripts
  // (Latin, Greek, Cyrillic) that are often misread.
  if (lead === 0xc2 || lead === 0xc3 || lead === 0xe2 || length === 4) return length
  if (/[A-Za-z]/.test(text[start - 1] ?? '')) return 0
  return length === 3 || [0xc4, 0xc5, 0xce, 0xcf, 0xd0, 0xd1].includes(lead) ? length : 0
}
