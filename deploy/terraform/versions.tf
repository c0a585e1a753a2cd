terraform {
  required_version = ">= 1.5"

  required_providers {
    # logging_config and the runtime python3.13 are there.
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.80, < 7.0"
    }
    archive = {
      source  = "hashicorp/archive"
      version = "~> 2.4"
    }
  }
}
