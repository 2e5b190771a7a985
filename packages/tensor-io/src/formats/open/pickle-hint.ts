/** Pickle files of weights by the names that training libraries give them, sharded ones too. */
const weights =
  /^(pytorch_model|adapter_model|model|consolidated|checkpoint|weights|lit_model)\b.*\.(bin|pt|pth|ckpt)$/

/**
 * How to make safetensors of the pickle files among some names; undefined where there are none. Pickle files run code
 * when they are read, so they are not read here.
 *
 * @param where the directory or `owner/name` that Python is to load
 */
export function pickleHint(where: string, names: readonly string[]): string | undefined {
  const pickle = names.find(name => weights.test(name))
  if (pickle === undefined) return undefined
  const load = `pickle files can run code when they are read; in Python, with what you trust:`
  if (pickle.startsWith('adapter_model')) {
    return `${pickle} is a pickle file. ${load} import torch, safetensors.torch as s; s.save_file(torch.load('${pickle}', weights_only=True), 'adapter_model.safetensors')`
  }
  return `${pickle} is a pickle file. ${load} from transformers import AutoModelForCausalLM as A; A.from_pretrained('${where}').save_pretrained('NEW')`
}
