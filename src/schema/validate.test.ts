import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { failure, success } from './envelope.js'
import { SchemaError, validate } from './validate.js'

const schema = z.strictObject({
  name: z.string(),
  size: z
    .string()
    .regex(/^\d+x\d+$/, 'wanted WIDTHxHEIGHT')
    .optional(),
})

test('gives the value back with its defaults, or all problems', () => {
  assert.deepEqual(validate(schema, { name: 'a' }, 'a.json'), { name: 'a' })
  assert.throws(() => validate(schema, { size: 'big', nmae: 'a' }, 'a.json'), {
    name: 'SchemaError',
    message: [
      'a.json: name: missing; wanted text',
      'a.json: size: found "big": wanted WIDTHxHEIGHT',
      'a.json: nmae: unknown key; did you mean "name"?',
    ].join('\n'),
  })
})

test('follows schemas that contain themselves', () => {
  interface Tree {
    leaf?: number | undefined
    left?: Tree | undefined
  }
  const tree: z.ZodType<Tree> = z.lazy(() => z.strictObject({ leaf: z.number().optional(), left: tree.optional() }))
  assert.throws(
    () => validate(tree, { left: { left: { leef: 1 } } }, 't'),
    /t: left\.left\.leef: unknown key; did you mean "leaf"/,
  )
})

test('of alternatives the one that is meant is complained about', () => {
  const either = z.union([
    z.strictObject({ width: z.int() }),
    z.strictObject({ width: z.int(), codes: z.int().positive(), beta: z.number().optional() }),
  ])
  const complaint = (value: unknown) => {
    try {
      validate(either, value, 't')
      return ''
    } catch (error) {
      return (error as Error).message
    }
  }
  assert.match(complaint({ width: 1, codes: 0 }), /^t: codes: found 0, wanted/)
  assert.match(complaint({ width: 1, codes: 2, bata: 3 }), /^t: bata: unknown key; did you mean "beta"/)
  assert.match(complaint({ width: 1.5 }), /^t: width: found 1.5/)
})

test('the envelope carries an error without its stack', () => {
  assert.deepEqual(success('inspect', { a: 1 }), { command: 'inspect', ok: true, data: { a: 1 } })
  const error = new SchemaError('a.json', [{ path: 'x', message: 'missing' }])
  assert.deepEqual(failure('inspect', error), {
    command: 'inspect',
    ok: false,
    error: {
      name: 'SchemaError',
      message: 'a.json: x: missing',
      source: 'a.json',
      problems: [{ path: 'x', message: 'missing' }],
    },
  })
})
