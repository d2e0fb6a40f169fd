import { load } from 'latentkit'

const form = document.querySelector('form')
const button = document.querySelector('button')
const progress = document.querySelector('progress')
const message = document.querySelector('output')
const picture = document.querySelector('img')

// The model that comes with latentkit; `load` takes the address of another checkpoint, or a File, as well.
const loading = load()

form.addEventListener('submit', async event => {
  event.preventDefault()
  const { prompt, seed } = Object.fromEntries(new FormData(form))
  button.disabled = true
  message.textContent = ''
  try {
    const model = await loading
    for await (const event of model.generate(prompt, { seed: Number(seed) })) {
      if (event.type === 'step') progress.value = event.step / event.total
      if (event.type === 'image') await show(event.image)
    }
  } catch (error) {
    message.textContent = error.message
  } finally {
    button.disabled = false
  }
})

/** Shows a picture; saved from the page it is a PNG that says how it was made. */
async function show(image) {
  URL.revokeObjectURL(picture.src)
  picture.src = URL.createObjectURL(new Blob([await image.png()], { type: 'image/png' }))
  picture.alt = image.parameters.prompt
  picture.hidden = false
}
