# The trace-agent layer, a Python function that fails on purpose and a function of your own program.

locals {
  # What Lambda calls the architecture, and the file that `cargo layer` made for it.
  layers = {
    x86_64 = "${path.module}/../../dist/trace-agent-layer-x86_64.zip"
    arm64  = "${path.module}/../../dist/trace-agent-layer-aarch64.zip"
  }
}

resource "aws_lambda_layer_version" "trace_agent" {
  for_each = local.layers

  layer_name               = "${var.name}-${each.key}"
  filename                 = each.value
  source_code_hash         = filebase64sha256(each.value)
  compatible_architectures = [each.key]
  license_info             = "Apache-2.0"
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.retention_in_days
}

data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

# All that a function and its extension need to log and to send records.
data "aws_iam_policy_document" "logs" {
  statement {
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.this.arn}:*"]
  }
}

resource "aws_iam_role" "this" {
  name               = var.name
  assume_role_policy = data.aws_iam_policy_document.assume.json
}

resource "aws_iam_role_policy" "logs" {
  name   = "logs"
  role   = aws_iam_role.this.id
  policy = data.aws_iam_policy_document.logs.json
}

data "archive_file" "python" {
  type        = "zip"
  source_dir  = "${path.module}/../functions/python"
  output_path = "${path.module}/.terraform/python.zip"
}

data "archive_file" "native" {
  type        = "zip"
  source_dir  = "${path.module}/../functions/native"
  output_path = "${path.module}/.terraform/native.zip"
}

resource "aws_lambda_function" "python" {
  function_name    = "${var.name}-failing-python"
  role             = aws_iam_role.this.arn
  runtime          = "python3.13"
  handler          = "app.handler"
  architectures    = [var.architecture]
  memory_size      = 256
  timeout          = 10
  filename         = data.archive_file.python.output_path
  source_code_hash = data.archive_file.python.output_base64sha256
  layers           = [aws_lambda_layer_version.trace_agent[var.architecture].arn]

  environment {
    variables = {
      AWS_LAMBDA_EXEC_WRAPPER = "/opt/trace-agent/wrapper"
      # Extensions are not told the function's log group.
      TRACE_AGENT_LOG_GROUP = aws_cloudwatch_log_group.this.name
    }
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.this.name
  }
}

# provided.* ignores exec wrappers: the bootstrap in the function's own zip starts /opt/trace-agent/bootstrap.
resource "aws_lambda_function" "native" {
  function_name    = "${var.name}-failing-native"
  role             = aws_iam_role.this.arn
  runtime          = "provided.al2023"
  handler          = "bootstrap"
  architectures    = [var.architecture]
  memory_size      = 256
  timeout          = 10
  filename         = data.archive_file.native.output_path
  source_code_hash = data.archive_file.native.output_base64sha256
  layers           = [aws_lambda_layer_version.trace_agent[var.architecture].arn]

  environment {
    variables = {
      TRACE_AGENT_LOG_GROUP = aws_cloudwatch_log_group.this.name
    }
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.this.name
  }
}
