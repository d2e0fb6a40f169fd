import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { type Command, parseFlags, UsageError, wantsHelp } from './flags.js'
import { commandHelp, programHelp } from './help.js'

const command = {
  name: 'generate',
  summary: 'Make a picture from a sentence.',
  options: z.strictObject({
    prompt: z.string().meta({ positional: true }).describe('what the picture shows'),
    steps: z.int().min(1).max(1000).default(20).describe('sampling steps'),
    guidanceScale: z
      .number()
      .default(3)
      .describe('how closely the picture follows the text; high values make it stiff'),
    seed: z.union([z.int(), z.literal('random')]).default('random'),
    sampler: z.enum(['ddim', 'ddpm']).default('ddim'),
    out: z.string().meta({ short: 'o', placeholder: 'FILE' }).describe('where the picture goes').optional(),
    tag: z.array(z.string()).default([]),
    json: z.boolean().default(false).describe('print one JSON object'),
    preview: z.boolean().default(true).describe('do not show the picture'),
  }),
  examples: [{ line: 'latentkit generate "red heart"', what: 'a heart' }],
} satisfies Command

function problems(argv: string[], of: Command = command) {
  try {
    parseFlags(of, argv)
  } catch (error) {
    assert.ok(error instanceof UsageError)
    return error.message.split('\n')
  }
  return []
}

test('parses every kind of flag, typed', () => {
  const argv = [
    'red heart',
    '--steps=5',
    '--guidance-scale',
    '-2.5',
    '-o',
    'a.png',
    '--tag',
    'x',
    '--tag=y',
    '--no-preview',
  ]
  assert.deepEqual(parseFlags(command, argv), {
    prompt: 'red heart',
    steps: 5,
    guidanceScale: -2.5,
    seed: 'random',
    sampler: 'ddim',
    out: 'a.png',
    tag: ['x', 'y'],
    json: false,
    preview: false,
  })
  assert.equal(parseFlags(command, ['a', '--seed', '7']).seed, 7)
  assert.equal(parseFlags(command, ['--json', '--', '--not-a-flag']).prompt, '--not-a-flag')
  assert.equal(parseFlags(command, ['12']).prompt, '12')
})

test('an array among the arguments takes all that are left', () => {
  const inspect = {
    name: 'inspect',
    summary: '',
    options: z.strictObject({ files: z.array(z.string()).meta({ positional: true }) }),
  }
  assert.deepEqual(parseFlags(inspect, ['a', 'b']).files, ['a', 'b'])
  assert.deepEqual(problems([], inspect), ['latentkit inspect: FILES: missing; wanted a list: text'])
})

test('names all problems at once', () => {
  assert.deepEqual(
    problems(['red', 'heart', '--stpes', '5', '--sampler', 'dddim', '--seed', 'x', '--guidance-scale']),
    [
      'latentkit generate: heart: one argument too many; quote text that has spaces',
      'latentkit generate: --stpes: unknown option; did you mean "--steps"?',
      'latentkit generate: --guidance-scale: wants N after it, found nothing',
      'latentkit generate: --seed: found "x", wanted a whole number or "random"',
      'latentkit generate: --sampler: found "dddim", wanted one of "ddim", "ddpm"; did you mean "ddim"?',
    ],
  )
  assert.deepEqual(problems(['--steps', '0', '--json=maybe']), [
    'latentkit generate: PROMPT: missing; wanted text',
    'latentkit generate: --steps: found 0, wanted a whole number from 1 to 1000',
    'latentkit generate: --json: found "maybe", wanted true or false',
  ])
})

test('an argument that stands where a flag is needed is told how to be given', () => {
  const upscale = {
    name: 'upscale',
    summary: '',
    options: z.strictObject({ image: z.string().meta({ placeholder: 'FILE' }) }),
  }
  assert.deepEqual(problems(['heart.png'], upscale), [
    'latentkit upscale: heart.png: one argument too many; did you mean "--image heart.png"?',
    'latentkit upscale: --image: missing; wanted --image FILE',
  ])
  const told = {
    ...upscale,
    options: upscale.options.extend({ prompt: z.string().optional().meta({ positional: true }) }),
  }
  assert.deepEqual(problems(['heart.png'], told), [
    'latentkit upscale: --image: missing; did you mean "--image heart.png"?',
  ])
  assert.deepEqual(problems(['A red heart.'], told), ['latentkit upscale: --image: missing; wanted --image FILE'])
  const { image, prompt } = told.options.shape
  const vary = { ...told, options: z.strictObject({ prompt, image: image.optional() }), forgotten: 'image' }
  assert.deepEqual(problems(['red heart', 'heart.png'], vary), [
    'latentkit upscale: heart.png: one argument too many; did you mean "--image heart.png"?',
  ])
  assert.deepEqual(problems(['red', 'heart'], vary), [
    'latentkit upscale: heart: one argument too many; quote text that has spaces',
  ])
})

test('a flag that takes a mapping is a mistake of the command', () => {
  const wrong = { name: 'x', summary: '', options: z.strictObject({ a: z.strictObject({}) }) }
  assert.throws(() => parseFlags(wrong, []), TypeError)
})

test('help is asked for before the arguments end', () => {
  assert.equal(wantsHelp(['a', '-h']), true)
  assert.equal(wantsHelp(['--', '--help']), false)
})

test('help shows usage, defaults, choices and examples within its width', () => {
  const text = commandHelp(command, 60)
  assert.equal(
    text,
    `Make a picture from a sentence.

Usage: latentkit generate PROMPT [options]

Arguments:
  PROMPT    what the picture shows

Options:
  --steps N            sampling steps (default 20)
  --guidance-scale N   how closely the picture follows the
                       text; high values make it stiff
                       (default 3)
  --seed N|random      (default random)
  --sampler ddim|ddpm  (default ddim)
  -o, --out FILE       where the picture goes
  --tag TEXT           (may be repeated)
  --json               print one JSON object
  --no-preview         do not show the picture
  -h, --help           show this

Examples:
  latentkit generate "red heart"
      a heart
`,
  )
  assert.match(programHelp('Latent diffusion.', [command]), /\n {2}generate {2}Make a picture from a sentence\.\n/)
})
