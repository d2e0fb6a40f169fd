import { type RequestField, requestFields, requestShape } from '../../conditioning/index.js'
import { settingsGroup } from './group.js'

const fields = Object.entries<RequestField>(requestFields)
const labelOf = (name: string, { label }: RequestField) => label ?? name[0]!.toUpperCase() + name.slice(1)

/** What a model is conditioned on beside texts; those that fit into a line are told: `Class: cat`. */
export const conditions = settingsGroup({
  shape: requestShape,
  show: given =>
    Object.fromEntries(
      fields.map(([name, field]) => [
        labelOf(name, field),
        given[name] === undefined ? undefined : field.show?.(given[name]),
      ]),
    ),
  read: lines =>
    Object.fromEntries(
      fields.flatMap(([name, field]) => {
        const text = lines[labelOf(name, field)]
        return field.parse && text !== undefined ? [[name, field.parse(text)]] : []
      }),
    ),
})
