import { z } from 'zod'
import { sha256 } from '#platform'
import { LatentkitError } from '../../../platform/errors.js'
import { bertTokenizer, clipTokenizer, vocabularyText } from '../../../text/index.js'
import type { Case } from '../case.js'
import type { JsonValue, Kind } from '../kind.js'

const prompts = z.array(z.string())
const tokensConfig = z.object({ prompts, vocabulary_sha256: z.string() })

/** The vocabulary that a case names by its sum, from whichever case of the folder holds it. */
async function vocabularyOf(testCase: Case): Promise<string> {
  const { vocabulary_sha256: sum } = tokensConfig.parse(testCase.config)
  const holder = await testCase.sibling(({ sha256 }) => sha256 === sum, `a vocabulary with SHA-256 ${sum}`)
  return readVocabulary(holder)
}

async function readVocabulary(holder: Case): Promise<string> {
  const [file] = holder.filesOf('data')
  if (file === undefined) throw new LatentkitError(`${holder.path} lists no file of role "data"`)
  const bytes = await holder.bytes(file)
  const sum = await sha256(bytes)
  if (sum !== holder.sha256) throw new LatentkitError(`${file} has SHA-256 ${sum}, expected ${holder.sha256}`)
  return vocabularyText(bytes, file)
}

const expectedClip = z.object({ context_length: z.number() })

/** CLIP's token numbers, both as openai/CLIP and as Hugging Face count them. */
const clipTokens: Kind = {
  kind: 'text',
  recognises: ({ objects, config }) => objects.includes('SimpleTokenizer') && tokensConfig.safeParse(config).success,
  async run(testCase) {
    const merges = await vocabularyOf(testCase)
    const file = testCase.filesOf('expected')[0]!
    const { context_length: length } = expectedClip.parse(await testCase.json(file))
    const openai = clipTokenizer({ merges })
    const zero = clipTokenizer({ merges }, { padding: 'zero' })
    const huggingface = clipTokenizer({ merges }, { cleaning: 'huggingface' })
    const differing: number[] = []
    const records = tokensConfig.parse(testCase.config).prompts.map((prompt, i) => {
      const ids = openai.tokens(prompt)
      const padded = [...openai.encode(prompt, length).ids]
      const other = [...huggingface.encode(prompt, length).ids]
      const same = padded.every((id, j) => id === other[j])
      if (!same) differing.push(i)
      return {
        prompt,
        ids,
        padded_with_end_of_text: padded,
        padded_with_zero: [...zero.encode(prompt, length).ids],
        decoded: openai.decode(ids),
        ...(same ? {} : { huggingface_ids: other }),
      }
    })
    const [start, end] = openai.encode('', 2).ids
    const answer: JsonValue = {
      start_of_text: start!,
      end_of_text: end!,
      context_length: length,
      prompts: records,
      prompts_where_huggingface_differs: differing,
    }
    return { files: { [file]: answer } }
  },
}

const expectedBert = z.object({ prompts: z.array(z.object({ ids77: z.array(z.number()) })).min(1) })

/** The cases list no more pieces of a prompt by name; the numbers go on. */
const LISTED = 40

/** The word pieces of the text-to-image LDM. */
const bertTokens: Kind = {
  kind: 'text',
  recognises: ({ objects, config }) => objects.includes('BERTTokenizer') && tokensConfig.safeParse(config).success,
  async run(testCase) {
    const vocabulary = await vocabularyOf(testCase)
    const file = testCase.filesOf('expected')[0]!
    const length = expectedBert.parse(await testCase.json(file)).prompts[0]!.ids77.length
    const tokenizer = bertTokenizer(vocabulary)
    const pieces = vocabulary.split(/\r?\n/)
    const records = tokensConfig.parse(testCase.config).prompts.map(prompt => ({
      prompt,
      ids77: [...tokenizer.encode(prompt, length).ids],
      pieces: tokenizer
        .tokens(prompt)
        .slice(0, LISTED)
        .map(id => pieces[id]!),
    }))
    const id = (piece: string) => pieces.indexOf(piece)
    const marks = { cls: id('[CLS]'), sep: id('[SEP]'), pad: id('[PAD]'), unk: id('[UNK]') }
    return { files: { [file]: { prompts: records, ...marks } } }
  },
}

/** The vocabulary files themselves: their sums, and that a tokenizer comes of them. */
const vocabularies: Kind = {
  kind: 'text',
  recognises: testCase => typeof testCase.sha256 === 'string' && testCase.filesOf('data').length > 0,
  async run(testCase) {
    const text = await readVocabulary(testCase)
    if (text.includes('\n[CLS]')) bertTokenizer(text)
    else clipTokenizer({ merges: text })
    return { files: {} }
  },
}

export const tokenizers: readonly Kind[] = [clipTokens, bertTokens, vocabularies]
