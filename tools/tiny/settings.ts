/** Everything that makes the embedded model what it is. */
export const specials = ['<|endoftext|>', '<|im_start|>', '<|im_end|>']
export const vocabularySize = 2048

export const chatTemplate =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
