variable "name" {
  description = "Begins the names of the functions, the role and the log group."
  type        = string
  default     = "trace-agent"
}

variable "architecture" {
  description = "Of both functions: x86_64 or arm64. my-program is built for it."
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "Lambda has x86_64 and arm64."
  }
}

variable "retention_in_days" {
  description = "How long the log group keeps logs and records."
  type        = number
  default     = 14
}
