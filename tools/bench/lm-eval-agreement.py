#!/usr/bin/env python3
"""Compares `reallm eval --tasks` with EleutherAI's lm-evaluation-harness on the same weights and the same local documents.

    pip install "lm_eval[hf]" torch
    lm-eval-agreement.py MODEL_DIRECTORY DATA_DIRECTORY [--limit N] [--out FILE.json] [--json] [--reallm "npx reallm"]

DATA_DIRECTORY holds <task>.jsonl. Prints one line a task: documents, how many are answered with the same choice (by
log-likelihood, and per character), both accuracies, both perplexities, the largest difference of a log-likelihood. Exits
with 1 unless every choice is the same, accuracies agree to 1e-6 and perplexities to a relative 1e-3.
"""
import argparse
import json
import os
import shlex
import subprocess
import sys

TASKS = ["arc_easy", "arc_challenge", "piqa", "hellaswag", "winogrande", "boolq", "lambada_openai"]


def theirs(model, data, names, limit):
    os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    from lm_eval.tasks._yaml_loader import load_yaml

    known = TaskManager()
    tasks = []
    for name in names:
        config = dict(load_yaml(known.task_index[name].yaml_path, resolve_func=True))
        split = config.get("test_split") or config["validation_split"]
        for other in ("training_split", "validation_split", "test_split", "fewshot_split"):
            config.pop(other, None)
        config.update(
            dataset_path="json",
            dataset_name=None,
            dataset_kwargs={"data_files": {split: os.path.join(data, f"{name}.jsonl")}},
            test_split=split,
        )
        tasks.append(config)
    return simple_evaluate(
        model="hf",
        model_args={"pretrained": model, "dtype": "float32", "device": "cpu"},
        tasks=tasks,
        limit=limit,
        log_samples=True,
        bootstrap_iters=0,
    )


def argmax(values):
    return max(range(len(values)), key=lambda i: values[i])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--out", help="their log-likelihoods, item by item")
    parser.add_argument("--json", action="store_true", help="all of it once more, as JSON in the last line")
    parser.add_argument("--reallm", default="npx reallm")
    options = parser.parse_args()
    names = [name for name in TASKS if os.path.exists(os.path.join(options.data, f"{name}.jsonl"))]
    command = [*shlex.split(options.reallm), "eval", options.model, "--tasks", ",".join(names)]
    command += ["--task-data", options.data, "--items", "--json", "--device", "tfjs", "--no-cache"]
    if options.limit:
        command += ["--limit", str(options.limit)]
    ours = {t["task"]: t for t in json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["tasks"]}
    found = theirs(options.model, options.data, names, options.limit)

    ok = True
    golden = {}
    rows = []
    for name in names:
        samples = sorted(found["samples"][name], key=lambda s: s["doc_id"])
        mine = ours[name]
        same = same_norm = 0
        worst = 0.0
        golden[name] = []
        for sample, answer in zip(samples, mine["answers"], strict=True):
            lls = [float(r[0]) for r in sample["filtered_resps"]]
            if name == "lambada_openai":
                lls = lls[:1] if isinstance(sample["filtered_resps"][0], (list, tuple)) else [float(sample["filtered_resps"][0])]
                same += int(bool(sample["acc"]) == answer["isRight"])
                same_norm += 1
            else:
                same += int(argmax(lls) == answer["choice"])
                same_norm += int("acc_norm" not in sample or (sample["acc_norm"] == 1.0) == (answer["choiceByLength"] == answer["gold"]))
            worst = max(worst, *(abs(a - b) for a, b in zip(lls, answer["logLikelihoods"], strict=True)))
            golden[name].append({"logLikelihoods": lls, "acc": sample["acc"], "acc_norm": sample.get("acc_norm")})
        result = found["results"][name]
        acc = result["acc,none"]
        perplexity = result.get("perplexity,none")
        apart = abs(acc - mine["acc"]["value"])
        apart_norm = abs(result["acc_norm,none"] - mine["accNorm"]["value"]) if "acc_norm,none" in result else 0
        ratio = abs(mine["perplexity"] / perplexity - 1) if perplexity else 0
        good = same == same_norm == len(samples) and apart <= 1e-6 and apart_norm <= 1e-6 and ratio <= 1e-3
        ok = ok and good
        row = dict(task=name, documents=len(samples), same=same, sameByLength=same_norm, accuracy=mine["acc"]["value"], theirAccuracy=acc, apart=worst)
        rows.append(dict(row, perplexity=mine["perplexity"], theirPerplexity=perplexity) if perplexity else row)
        line = f"{name}: {len(samples)} documents, same choice {same}, per character {same_norm}, acc {acc:.6f} / {mine['acc']['value']:.6f}"
        if perplexity:
            line += f", perplexity {perplexity:.5f} / {mine['perplexity']:.5f}"
        print(f"{line}, log-likelihoods within {worst:.1e}{'' if good else '  DIFFERENT'}")
    if options.out:
        with open(options.out, "w") as file:
            json.dump(golden, file, indent=1)
    if options.json:
        print(json.dumps(rows))
    sys.exit(0 if ok else 1)


main()
