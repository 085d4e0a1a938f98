//! Where clouds answer, when no other address is named.

/// Where the Gemini API is.
pub(super) const GEMINI_URL: &str = "https://generativelanguage.googleapis.com/v1beta";

/// Where Vertex AI is for a location: a region, a group of regions, or `global`.
///
/// Source: Google Cloud, Vertex AI, "Deployments and endpoints".
pub(super) fn vertexai_url(location: &str) -> String {
    match location {
        "global" => "https://aiplatform.googleapis.com".to_owned(),
        "eu" | "us" => format!("https://aiplatform.{location}.rep.googleapis.com"),
        region => format!("https://{region}-aiplatform.googleapis.com"),
    }
}

/// Where Bedrock's models are asked in a region.
///
/// Source: AWS General Reference, "Amazon Bedrock endpoints and quotas".
pub(super) fn bedrock_url(region: &str) -> String {
    let domain = if region.starts_with("cn-") {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    };
    format!("https://bedrock-runtime.{region}.{domain}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_has_its_address() {
        for (location, url) in [
            (
                "europe-west1",
                "https://europe-west1-aiplatform.googleapis.com",
            ),
            ("global", "https://aiplatform.googleapis.com"),
            ("eu", "https://aiplatform.eu.rep.googleapis.com"),
        ] {
            assert_eq!(vertexai_url(location), url);
        }
        for (region, url) in [
            (
                "eu-west-1",
                "https://bedrock-runtime.eu-west-1.amazonaws.com",
            ),
            (
                "cn-north-1",
                "https://bedrock-runtime.cn-north-1.amazonaws.com.cn",
            ),
        ] {
            assert_eq!(bedrock_url(region), url);
        }
    }
}
