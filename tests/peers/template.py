"""Prints a CloudFormation or SAM template as JSON: short forms of functions written out, the globals of SAM in each function."""

import json
import sys

from cfnlint.decode import decode
from cfnlint.template import Template

path = sys.argv[1]
template, problems = decode(path)
if not problems:
    template = Template(path, template, ["us-east-1"])
    problems = template.transform()
if problems:
    sys.exit("\n".join(map(str, problems)))
print(json.dumps(template.template, default=str))
