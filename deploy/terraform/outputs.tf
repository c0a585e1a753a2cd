output "layers" {
  description = "The layer's versions by architecture, for functions that are made elsewhere."
  value       = { for architecture, layer in aws_lambda_layer_version.trace_agent : architecture => layer.arn }
}

output "functions" {
  value = [aws_lambda_function.python.function_name, aws_lambda_function.native.function_name]
}

output "log_group" {
  value = aws_cloudwatch_log_group.this.name
}
