/** Ideographs, each of which is a word of its own (BERT's tokenization.py, _is_chinese_char). */
const IDEOGRAPH =
  /[\u4e00-\u9fff\u3400-\u4dbf\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b820}-\u{2ceaf}\uf900-\ufaff\u{2f800}-\u{2fa1f}]/gu
/** Tab, newline and return are white space here though their category is control. */
const REMOVED = /(?![\t\n\r])[\0\ufffd\p{Cc}\p{Cf}\p{Co}\p{Cs}]/gu

/** Text without control characters and with spaces around ideographs. Source: BERT's tokenization.py, BasicTokenizer. */
export const basicText = (text: string): string => text.replace(REMOVED, '').replace(IDEOGRAPH, ' $& ')
